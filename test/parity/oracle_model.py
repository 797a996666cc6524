"""The networks of core/model/model.ts in PyTorch, one function a family; `spec` is a ModelSpec as JSON.

Written from the definitions and from PyTorch's own layers (GRU, scaled_dot_product_attention, layer_norm, rms_norm,
distributions), not from the TypeScript. Works in the dtype of the parameters. Shapes: N steps = B sequences x T steps,
sequence after sequence; O observation width; A action width; P policy width; S state width.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch.distributions import Categorical, Normal

GAUSS_HERMITE_NODES = 16


def sizes_of(space):
    return [space["n"]] if space["kind"] == "discrete" else space["sizes"]


def width_of(space):
    return math.prod(space["shape"]) if space["kind"] == "box" else len(sizes_of(space))


def policy_width(spec):
    action = spec["actionSpace"]
    return width_of(action) if action["kind"] == "box" else sum(sizes_of(action))


def encoded_width(space):
    return width_of(space) if space["kind"] == "box" else sum(sizes_of(space))


def convolved(spec):
    """[H, W, C] after each convolution; valid padding drops what the stride does not reach."""
    height, width, channels = spec["observationSpace"]["shape"]
    shapes = [(height, width, channels)]
    for layer in spec["convolutions"]:
        height, width = ((n - layer["kernel"]) // layer["stride"] + 1 for n in (height, width))
        shapes.append((height, width, layer["channels"]))
    return shapes


def dense_shapes(prefix, widths):
    shapes = {}
    for k, (fan_in, fan_out) in enumerate(zip(widths, widths[1:])):
        shapes[f"{prefix}/{k}/weight"] = (fan_in, fan_out)
        shapes[f"{prefix}/{k}/bias"] = (fan_out,)
    return shapes


def transformer_shapes(spec):
    width, hidden, layer_norm = spec["width"], spec["feedForward"], spec["norm"] == "layer"
    shapes = {"embed/weight": (sum(sizes_of(spec["observationSpace"])), width)}

    def norm(name):
        shapes[f"{name}/weight"] = (width,)
        if layer_norm:
            shapes[f"{name}/bias"] = (width,)

    for k in range(spec["layers"]):
        block = f"block{k}"
        norm(f"{block}/attentionNorm")
        shapes[f"{block}/qkv/weight"] = (width, 3 * width)
        shapes[f"{block}/attentionOut/weight"] = (width, width)
        norm(f"{block}/feedForwardNorm")
        if spec["activation"] == "swiglu":
            shapes[f"{block}/gateUp/weight"] = (width, 2 * hidden)
        else:
            shapes[f"{block}/up/weight"] = (width, hidden)
        shapes[f"{block}/down/weight"] = (hidden, width)
    norm("norm")
    return shapes


def parameter_shapes(spec):
    """Every parameter's shape by name."""
    kind, observation = spec["kind"], spec["observationSpace"]
    shapes = {}
    if kind == "mlp":
        widths = [encoded_width(observation), *spec["hidden"]]
        shapes |= dense_shapes("actor", [*widths, policy_width(spec)]) | dense_shapes("critic", [*widths, 1])
    else:
        if kind == "cnn":
            stages = convolved(spec)
            for k, layer in enumerate(spec["convolutions"]):
                shapes[f"conv/{k}/weight"] = (layer["kernel"], layer["kernel"], stages[k][2], layer["channels"])
                shapes[f"conv/{k}/bias"] = (layer["channels"],)
            widths = [math.prod(stages[-1]), *spec["hidden"]]
            shapes |= dense_shapes("trunk", widths)
            features = widths[-1]
        elif kind == "gru":
            widths, features = [encoded_width(observation), *spec["hidden"]], spec["units"]
            shapes |= dense_shapes("encoder", widths)
            shapes["gru/inputWeight"] = (widths[-1], 3 * features)
            shapes["gru/stateWeight"] = (features, 3 * features)
            shapes["gru/inputBias"] = shapes["gru/stateBias"] = (3 * features,)
        else:
            shapes |= transformer_shapes(spec)
            features = spec["width"]
        for head, width in (("actor", policy_width(spec)), ("critic", 1)):
            shapes[f"{head}/weight"], shapes[f"{head}/bias"] = (features, width), (width,)
    if spec["actionSpace"]["kind"] == "box":
        shapes["actor/logStd"] = (policy_width(spec),)
    return shapes


def encode(space, observations, dtype):
    """[N, O] -> [N, encoded]: integers one-hot, reals as they are."""
    if space["kind"] == "box":
        return observations.to(dtype)
    parts = [F.one_hot(observations[:, k].long(), n) for k, n in enumerate(sizes_of(space))]
    return torch.cat(parts, dim=1).to(dtype)


def dense(p, prefix, x, count, activation, last_activated=True):
    for k in range(count):
        x = x @ p[f"{prefix}/{k}/weight"] + p[f"{prefix}/{k}/bias"]
        if k < count - 1 or last_activated:
            x = activation(x)
    return x


def cnn_features(spec, p, observations, dtype):
    space = spec["observationSpace"]
    x = observations.to(dtype).reshape(-1, *space["shape"])
    if np.all(np.asarray(space["low"]) == 0) and np.all(np.asarray(space["high"]) == 255):
        x = x / 255
    x = x.permute(0, 3, 1, 2)
    for k, layer in enumerate(spec["convolutions"]):
        kernel = p[f"conv/{k}/weight"].permute(3, 2, 0, 1)
        x = F.relu(F.conv2d(x, kernel, p[f"conv/{k}/bias"], stride=layer["stride"]))
    x = x.permute(0, 2, 3, 1).flatten(1)
    return dense(p, "trunk", x, len(spec["hidden"]), F.relu)


def gru_features(spec, p, observations, states, length, dtype):
    x = dense(p, "encoder", encode(spec["observationSpace"], observations, dtype), len(spec["hidden"]), torch.tanh)
    x = x.reshape(-1, length, x.shape[1])
    layer = torch.nn.GRU(x.shape[2], spec["units"], batch_first=True, dtype=dtype)
    weights = {
        "weight_ih_l0": p["gru/inputWeight"].T,
        "weight_hh_l0": p["gru/stateWeight"].T,
        "bias_ih_l0": p["gru/inputBias"],
        "bias_hh_l0": p["gru/stateBias"],
    }
    start = torch.zeros(x.shape[0], spec["units"], dtype=dtype) if states is None else states.to(dtype)
    hidden, last = torch.func.functional_call(layer, weights, (x, start.unsqueeze(0)))
    return hidden.reshape(-1, spec["units"]), last[0]


def rotate(x):
    """Rotary position embedding of [.., L, d] in half-split pairs, as a product of complex numbers, base 10000."""
    length, d = x.shape[-2:]
    frequency = 10000 ** (-2 * torch.arange(d // 2, dtype=x.dtype) / d)
    angle = torch.outer(torch.arange(length, dtype=x.dtype), frequency)
    turned = torch.complex(x[..., : d // 2], x[..., d // 2 :]) * torch.polar(torch.ones_like(angle), angle)
    return torch.cat([turned.real, turned.imag], dim=-1)


def transformer_features(spec, p, observations, length):
    width, heads = spec["width"], spec["heads"]
    sizes = sizes_of(spec["observationSpace"])
    offsets = torch.tensor([sum(sizes[:k]) for k in range(len(sizes))])
    tokens = (observations.long() + offsets).reshape(-1, length * len(sizes))
    x = p["embed/weight"][tokens]

    def norm(name, x):
        if spec["norm"] == "rms":
            return F.rms_norm(x, (width,), p[f"{name}/weight"], eps=1e-6)
        return F.layer_norm(x, (width,), p[f"{name}/weight"], p[f"{name}/bias"], eps=1e-5)

    for k in range(spec["layers"]):
        block = f"block{k}"
        qkv = norm(f"{block}/attentionNorm", x) @ p[f"{block}/qkv/weight"]
        q, key, v = (y.unflatten(2, (heads, -1)).transpose(1, 2) for y in qkv.chunk(3, dim=2))
        attended = F.scaled_dot_product_attention(rotate(q), rotate(key), v, is_causal=True)
        x = x + attended.transpose(1, 2).flatten(2) @ p[f"{block}/attentionOut/weight"]
        y = norm(f"{block}/feedForwardNorm", x)
        if spec["activation"] == "swiglu":
            gate, up = (y @ p[f"{block}/gateUp/weight"]).chunk(2, dim=2)
            y = F.silu(gate) * up
        else:
            y = F.gelu(y @ p[f"{block}/up/weight"], approximate="tanh")
        x = x + y @ p[f"{block}/down/weight"]
    return norm("norm", x)[:, len(sizes) - 1 :: len(sizes)].reshape(-1, width)


def categorical_head(sizes, logits, actions, masks):
    if masks is not None:
        logits = logits + (masks.to(logits.dtype) - 1) * 1e9
    parts = [Categorical(logits=part) for part in logits.split(sizes, dim=1)]
    logprob = sum(part.log_prob(actions[:, k].long()) for k, part in enumerate(parts))
    return logprob, sum(part.entropy() for part in parts), logits


def log_one_minus_tanh_squared(u):
    """log(1 - tanh(u)^2) = -2 log cosh u."""
    return -2 * (u.abs() + torch.log1p(torch.exp(-2 * u.abs())) - math.log(2))


def gaussian_head(spec, mean, log_std, actions):
    log_std = log_std.expand_as(mean)
    normal = Normal(mean, log_std.exp())
    actions = actions.to(mean.dtype)
    logprob, entropy = normal.log_prob(actions), normal.entropy()
    if spec.get("distribution") == "tanhGaussian":
        low, high = (torch.as_tensor(spec["actionSpace"][k], dtype=mean.dtype) for k in ("low", "high"))
        log_half_range = torch.log((high - low) / 2)
        logprob = logprob - log_one_minus_tanh_squared(actions) - log_half_range
        nodes, weights = np.polynomial.hermite_e.hermegauss(GAUSS_HERMITE_NODES)
        nodes, weights = (torch.tensor(a, dtype=mean.dtype) for a in (nodes, weights / weights.sum()))
        u = mean[..., None] + log_std.exp()[..., None] * nodes
        entropy = entropy + (log_one_minus_tanh_squared(u) * weights).sum(-1) + log_half_range
    return logprob.sum(1), entropy.sum(1), torch.cat([mean, log_std], dim=1)


def forward(spec, p, inputs, length):
    """Columns logprob [N], entropy [N], value [N], policy [N, P'] and, for a network with memory, state [B, S]."""
    observations, dtype = inputs["observations"], next(iter(p.values())).dtype
    columns = {}
    if spec["kind"] == "mlp":
        x, layers = encode(spec["observationSpace"], observations, dtype), len(spec["hidden"]) + 1
        policy = dense(p, "actor", x, layers, torch.tanh, last_activated=False)
        value = dense(p, "critic", x, layers, torch.tanh, last_activated=False)
    else:
        if spec["kind"] == "cnn":
            x = cnn_features(spec, p, observations, dtype)
        elif spec["kind"] == "gru":
            x, columns["state"] = gru_features(spec, p, observations, inputs.get("states"), length, dtype)
        else:
            x = transformer_features(spec, p, observations, length)
        policy = x @ p["actor/weight"] + p["actor/bias"]
        value = x @ p["critic/weight"] + p["critic/bias"]
    action = spec["actionSpace"]
    if action["kind"] == "box":
        head = gaussian_head(spec, policy, p["actor/logStd"], inputs["actions"])
    else:
        head = categorical_head(sizes_of(action), policy, inputs["actions"], inputs.get("actionMasks"))
    columns["logprob"], columns["entropy"], columns["policy"] = head
    return columns | {"value": value[:, 0]}
