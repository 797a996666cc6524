"""The float64 oracle of the parity suite. See README.md.

  python test/parity/oracle.py --write    writes data/*.safetensors
  python test/parity/oracle.py --verify   recomputes and compares with data/*.safetensors
  python test/parity/oracle.py --check    compares gradients with central differences, and shows how far the same
                                          computation in PyTorch's float32 stays from float64
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

sys.dont_write_bytecode = True
from oracle_cases import CASES, build
from oracle_model import forward

DATA = Path(__file__).parent / "data"
LIVE = ("logprob", "entropy", "value")
# ½(value − target)² / N + logprobWeights · logprob + entropyWeight · entropy, summed over N steps
TRAINING = {
    "entropyWeight": -0.05,
    "maxGradNorm": 0.5,
    "epsilon": 1e-5,
    "beta1": 0.9,
    "beta2": 0.999,
    "updates": 100,
}
SHOWN_UPDATES = (1, 10, 100)
VERIFY_TOLERANCE = 1e-6


def group(arrays, prefix, dtype=None):
    tensors = {k.removeprefix(prefix): torch.tensor(v) for k, v in arrays.items() if k.startswith(prefix)}
    return {k: v if dtype is None else v.to(dtype) for k, v in tensors.items()}


def objective(case, arrays, parameters, dtype):
    """Sum over columns of cotangent · column."""
    columns = forward(case.spec, parameters, group(arrays, "input/"), case.length)
    cotangents = group(arrays, "cotangent/", dtype)
    return sum((cotangents[name] * columns[name]).sum() for name in LIVE), columns


def global_norm(gradients):
    return float(torch.sqrt(sum((g * g).sum() for g in gradients)))


def train(case, arrays, dtype):
    """Final weights, and the gradient's norm before clipping at SHOWN_UPDATES, by PyTorch's own Adam and clipping."""
    inputs, settings = group(arrays, "input/"), group(arrays, "training/", dtype)
    parameters = {k: v.requires_grad_() for k, v in group(arrays, "weights/", dtype).items()}
    betas = (TRAINING["beta1"], TRAINING["beta2"])
    adam = torch.optim.Adam(parameters.values(), lr=case.learning_rate, betas=betas, eps=TRAINING["epsilon"])
    norms = {}
    for update in range(1, TRAINING["updates"] + 1):
        columns = forward(case.spec, parameters, inputs, case.length)
        error = columns["value"] - settings["valueTargets"]
        loss = (settings["logprobWeights"] * columns["logprob"]).sum() + (error * error).sum() / (2 * case.steps)
        loss = loss + TRAINING["entropyWeight"] * columns["entropy"].sum()
        adam.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters.values(), TRAINING["maxGradNorm"])
        if update in SHOWN_UPDATES:
            norms[str(update)] = float(norm)
        adam.step()
    return {k: v.detach() for k, v in parameters.items()}, norms


def solve(case, arrays, dtype=torch.float64):
    """Expected arrays (column/*, gradient/*, trained/*) and norms."""
    parameters = {k: v.requires_grad_() for k, v in group(arrays, "weights/", dtype).items()}
    total, columns = objective(case, arrays, parameters, dtype)
    gradients = dict(zip(parameters, torch.autograd.grad(total, list(parameters.values()))))
    trained, norms = train(case, arrays, dtype)
    expected = {f"column/{k}": v for k, v in columns.items()}
    expected |= {f"gradient/{k}": v for k, v in gradients.items()}
    expected |= {f"trained/{k}": v for k, v in trained.items()}
    norms = {"gradNorm": global_norm(gradients.values()), "trainingGradNorms": norms}
    return {k: v.detach().numpy() for k, v in expected.items()}, norms


def encode(arrays, description):
    """Bytes of a safetensors file of float32 and int32 tensors."""
    header, at = {"__metadata__": {"case": json.dumps(description)}}, 0
    for name, x in arrays.items():
        kind = {"float32": "F32", "int32": "I32"}[x.dtype.name]
        header[name] = {"dtype": kind, "shape": list(x.shape), "data_offsets": [at, at + x.nbytes]}
        at += x.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    blobs = [np.ascontiguousarray(x).astype(x.dtype.newbyteorder("<")).tobytes() for x in arrays.values()]
    return len(text).to_bytes(8, "little") + text + b"".join(blobs)


def decode(data):
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    description = json.loads(header.pop("__metadata__")["case"])
    dtypes = {"F32": "<f4", "I32": "<i4"}
    arrays = {}
    for name, entry in header.items():
        start, end = (8 + size + at for at in entry["data_offsets"])
        arrays[name] = np.frombuffer(data[start:end], dtypes[entry["dtype"]]).reshape(entry["shape"])
    return arrays, description


def contents(case):
    """Bytes of the case's file. Expectations are rounded to float32 last: 6e-8, far below what the suite allows."""
    arrays = build(case)
    expected, norms = solve(case, arrays)
    stored = {k: v for k, v in arrays.items() if not (case.frames and k == "input/observations")}
    stored |= {k: v.astype(np.float32) for k, v in expected.items()}
    description = {
        "spec": case.spec,
        "steps": case.steps,
        "sequenceLength": case.length,
        "training": {"learningRate": case.learning_rate, **TRAINING},
        **norms,
    }
    return encode(stored, description)


def scaled_error(got, want):
    """max |got − want|, relative to the largest |want| that is no masked logit."""
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    ordinary = np.abs(want)[np.abs(want) < 1e8]
    scale = np.maximum(np.abs(want), ordinary.max(initial=1e-30))
    return float(np.max(np.abs(got - want) / scale))


def write():
    DATA.mkdir(exist_ok=True)
    for path in DATA.glob("*.safetensors"):
        path.unlink()
    for case in CASES:
        (DATA / f"{case.name}.safetensors").write_bytes(contents(case))
    sizes = [path.stat().st_size for path in DATA.iterdir()]
    print(f"{len(sizes)} cases, {sum(sizes) / 1e6:.2f} MB")


def verify():
    stale = {path.stem for path in DATA.glob("*.safetensors")} ^ {case.name for case in CASES}
    failures = [f"{name}: has a case or a file, not both" for name in sorted(stale)]
    for case in CASES:
        path = DATA / f"{case.name}.safetensors"
        if not path.exists():
            continue
        new, old = contents(case), path.read_bytes()
        if new == old:
            print(f"{case.name}: identical bytes")
            continue
        (new_arrays, new_text), (old_arrays, old_text) = decode(new), decode(old)
        if new_arrays.keys() != old_arrays.keys() or new_text["spec"] != old_text["spec"]:
            failures.append(f"{case.name}: another network or other tensors")
            continue
        worst = max((scaled_error(old_arrays[k], new_arrays[k]), k) for k in new_arrays)
        print(f"{case.name}: bytes differ; largest scaled difference {worst[0]:.1e} in {worst[1]}")
        if worst[0] > VERIFY_TOLERANCE:
            failures.append(f"{case.name}: {worst[1]} differs by {worst[0]:.1e}")
    return failures


def central_difference_error(case, arrays):
    """Every parameter's derivative against (f(x + h) − f(x − h)) / 2h, relative to the tensor's largest derivative."""
    parameters = {k: v.requires_grad_() for k, v in group(arrays, "weights/", torch.float64).items()}
    total, _ = objective(case, arrays, parameters, torch.float64)
    gradients = torch.autograd.grad(total, list(parameters.values()))
    worst, h = 0.0, 1e-6
    with torch.no_grad():
        for x, gradient in zip(parameters.values(), gradients):
            flat, numeric = x.view(-1), torch.zeros(x.numel(), dtype=torch.float64)
            for i in range(x.numel()):
                kept = flat[i].item()
                flat[i] = kept + h
                above = objective(case, arrays, parameters, torch.float64)[0]
                flat[i] = kept - h
                below = objective(case, arrays, parameters, torch.float64)[0]
                flat[i] = kept
                numeric[i] = (above - below) / (2 * h)
            worst = max(worst, scaled_error(numeric.numpy(), gradient.reshape(-1).numpy()))
    return worst


def check():
    failures = []
    print(f"{'case':28} differences |  float32: column gradient  trained  gradNorm")
    for case in CASES:
        arrays = build(case)
        exact, exact_norms = solve(case, arrays)
        single, single_norms = solve(case, arrays, torch.float32)
        errors = [
            max(scaled_error(single[k], exact[k]) for k in exact if k.startswith(prefix))
            for prefix in ("column/", "gradient/", "trained/")
        ]
        norms = exact_norms["trainingGradNorms"]
        errors.append(max(abs(single_norms["trainingGradNorms"][k] - norms[k]) / norms[k] for k in norms))
        differences = central_difference_error(case, arrays)
        shown = " ".join(f"{error:8.1e}" for error in errors)
        print(f"{case.name:28} {differences:11.1e} |         {shown}", flush=True)
        if not differences < 1e-6:
            failures.append(f"{case.name}: gradient and central differences are {differences:.1e} apart")
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("write", "verify", "check"):
        parser.add_argument(f"--{name}", action="store_true")
    options = parser.parse_args()
    # One thread sums in one order: the same bytes every time.
    torch.set_num_threads(1)
    failures = []
    if options.write:
        write()
    if options.verify:
        failures += verify()
    if options.check:
        failures += check()
    if not (options.write or options.verify or options.check):
        parser.error("expected --write, --verify or --check")
    for failure in failures:
        print(failure, file=sys.stderr)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
