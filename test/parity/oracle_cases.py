"""The cases of the parity suite: what network, on what inputs, from what weights. Every number is a float32."""

import zlib
from dataclasses import dataclass, field

import numpy as np

from oracle_model import parameter_shapes, policy_width, sizes_of, width_of


def box(shape, low=-1, high=1):
    return {"kind": "box", "shape": shape, "low": low, "high": high}


def discrete(n):
    return {"kind": "discrete", "n": n}


def multi_discrete(*sizes):
    return {"kind": "multiDiscrete", "sizes": list(sizes)}


def convolution(channels, kernel, stride):
    return {"channels": channels, "kernel": kernel, "stride": stride}


@dataclass(frozen=True)
class Case:
    name: str
    network: dict
    observation: dict
    action: dict
    sequences: int
    length: int = 1
    masks: bool = False
    states: bool = False
    tanh: bool = False
    # Standard deviation of the recorded real-valued actions.
    action_scale: float = 1.0
    # Factor on the random weights of the parameters named.
    scales: dict = field(default_factory=dict)
    # Of the training run: small enough that Adam does not oscillate, for oscillation multiplies rounding errors.
    learning_rate: float = 1e-3

    @property
    def spec(self):
        spec = self.network | {"observationSpace": self.observation, "actionSpace": self.action}
        return spec | ({"distribution": "tanhGaussian"} if self.tanh else {})

    @property
    def steps(self):
        return self.sequences * self.length

    @property
    def frames(self):
        """Observations that follow from a formula, and are not stored."""
        return self.observation.get("high") == 255


def mlp(*hidden):
    return {"kind": "mlp", "hidden": list(hidden)}


def cnn(convolutions, hidden):
    return {"kind": "cnn", "convolutions": convolutions, "hidden": hidden}


def gru(hidden, units):
    return {"kind": "gru", "hidden": hidden, "units": units}


def transformer(norm, activation):
    sizes = {"layers": 2, "width": 16, "heads": 2, "feedForward": 24}
    return {"kind": "transformer", **sizes, "norm": norm, "activation": activation}


CASES = [
    Case("mlp-categorical", mlp(7, 5), box([3]), discrete(4), 6),
    Case("mlp-categorical-masks", mlp(6), multi_discrete(3, 2), discrete(5), 6, masks=True),
    Case("mlp-multi-discrete", mlp(6, 6), discrete(5), multi_discrete(3, 2, 4), 6),
    Case("mlp-multi-discrete-masks", mlp(8), box([2, 3]), multi_discrete(3, 4), 6, masks=True),
    Case("mlp-gaussian", mlp(7, 5), box([3]), box([2]), 6),
    Case("mlp-tanh-gaussian", mlp(7, 5), box([3]), box([2], [-2, 0], [2, 5]), 6, tanh=True),
    Case("mlp-extreme-logits", mlp(6), box([3]), discrete(4), 8, scales={"actor/1/weight": 50}),
    Case(
        "mlp-saturating-tanh",
        mlp(6),
        box([3]),
        box([3], [-1000, 0, -1], [1000, 0.01, 1]),
        8,
        tanh=True,
        action_scale=8,
        scales={"actor/1/weight": 10},
    ),
    Case(
        "cnn-board",
        cnn([convolution(6, 3, 1)], [12]),
        box([10, 10, 4], 0, 1),
        discrete(5),
        3,
        masks=True,
    ),
    Case(
        "cnn-frames",
        cnn([convolution(4, 8, 4), convolution(6, 4, 2), convolution(6, 3, 1)], [12]),
        box([84, 84, 4], 0, 255),
        discrete(4),
        2,
        learning_rate=3e-4,
    ),
    Case(
        "cnn-uneven-stride",
        # Every layer leaves out a row, a column or both.
        cnn([convolution(5, 4, 2), convolution(6, 3, 2), convolution(5, 2, 2)], []),
        box([19, 22, 2]),
        box([2]),
        3,
    ),
    Case("gru-categorical", gru([6], 5), box([3]), discrete(4), 3, length=5, states=True),
    Case("gru-gaussian", gru([], 6), discrete(4), box([2]), 3, length=5),
    Case(
        "gru-one-step",
        gru([6, 5], 4),
        multi_discrete(3, 2),
        multi_discrete(3, 2),
        4,
        masks=True,
        states=True,
    ),
    Case("gru-tanh-gaussian", gru([], 5), box([3]), box([2], [-2, 0], [2, 5]), 2, length=4, states=True, tanh=True),
    Case("transformer-rms-swiglu", transformer("rms", "swiglu"), discrete(7), discrete(4), 3, length=6),
    Case(
        "transformer-layer-gelu",
        transformer("layer", "gelu"),
        multi_discrete(5, 3, 4, 6),
        multi_discrete(3, 4),
        4,
        masks=True,
        learning_rate=3e-4,
    ),
    Case("transformer-rms-gelu", transformer("rms", "gelu"), multi_discrete(4, 3), box([2]), 2, length=4),
    Case("transformer-layer-swiglu", transformer("layer", "swiglu"), discrete(6), discrete(5), 2, length=5, masks=True),
]


def frame_pixels(count):
    """Pixel i = ((i^2 + 7 i) mod 65521) mod 256."""
    i = np.arange(count, dtype=np.int64)
    return ((i * i + 7 * i) % 65521 % 256).astype(np.float32)


def integers(rng, space, steps):
    return np.stack([rng.integers(0, n, steps) for n in sizes_of(space)], axis=1)


def random_observations(rng, case):
    space, steps = case.observation, case.steps
    if space["kind"] != "box":
        return integers(rng, space, steps)
    width = width_of(space)
    if case.frames:
        return frame_pixels(steps * width).reshape(steps, width)
    if space["low"] == 0:
        return rng.integers(0, 2, (steps, width))
    return rng.standard_normal((steps, width))


def random_weights(rng, case):
    weights = {}
    for name, shape in parameter_shapes(case.spec).items():
        x = rng.standard_normal(shape)
        if len(shape) > 1:
            # Rows of an embedding are looked up, not summed over.
            x *= 0.5 if name == "embed/weight" else np.sqrt(1.5 / np.prod(shape[:-1]))
        else:
            x = 0.2 * x + (1 if "orm/weight" in name else 0)
        weights[name] = (x * case.scales.get(name, 1)).astype(np.float32)
    return weights


def random_masks(rng, case, actions):
    """[N, P] with the action taken always allowed, and at least one action refused in every part."""
    parts = []
    for k, n in enumerate(sizes_of(case.action)):
        part = rng.random((case.steps, n)) < 0.6
        rows = np.arange(case.steps)
        part[rows, (actions[:, k] + 1) % n] = False
        part[rows, actions[:, k]] = True
        parts.append(part)
    return np.concatenate(parts, axis=1).astype(np.int32)


def build(case):
    """Arrays by name: input/*, weights/*, cotangent/* and training/* (what the loss of the training run reads)."""
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(case.name.encode())))
    steps = case.steps
    arrays = {"input/observations": random_observations(rng, case).astype(np.float32)}
    if case.action["kind"] == "box":
        actions = case.action_scale * rng.standard_normal((steps, policy_width(case.spec)))
        arrays["input/actions"] = actions.astype(np.float32)
    else:
        arrays["input/actions"] = integers(rng, case.action, steps).astype(np.int32)
    if case.masks:
        arrays["input/actionMasks"] = random_masks(rng, case, arrays["input/actions"])
    if case.states:
        arrays["input/states"] = rng.standard_normal((case.sequences, case.network["units"])).astype(np.float32)
    for name, x in random_weights(rng, case).items():
        arrays[f"weights/{name}"] = x
    for name in ("cotangent/logprob", "cotangent/entropy", "cotangent/value"):
        arrays[name] = rng.standard_normal(steps).astype(np.float32)
    # Negative, so that the loss has a minimum: a run that diverges says nothing about the engines.
    arrays["training/logprobWeights"] = (-np.abs(rng.standard_normal(steps)) / steps).astype(np.float32)
    arrays["training/valueTargets"] = rng.standard_normal(steps).astype(np.float32)
    return arrays
