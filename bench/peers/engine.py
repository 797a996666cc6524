"""PyTorch's side of `npm run bench -- engine`; bench/peer.ts says what it is asked and what it answers."""

import json
import sys
import time

try:
    import torch
except ImportError as error:
    sys.exit(f"{error}; pip install torch numpy")

from torch import nn
from torch.nn import functional as F

from networks import build

# The defaults of core/recipes/ppo.ts, which are those of CleanRL's ppo.py.
LEARNING_RATE = 2.5e-4
CLIP = 0.2
VALUE_COEFFICIENT = 0.5
ENTROPY_COEFFICIENT = 0.01
MAX_GRAD_NORM = 0.5


def made_up_inputs(spec, steps):
    """Observations as the network takes them, and actions [N]."""
    space = spec["observationSpace"]
    if space["kind"] == "discrete":
        observations = torch.randint(space["n"], (steps,))
    else:
        shape = space["shape"]
        channels_first = [shape[-1], *shape[:-1]] if len(shape) == 3 else shape
        observations = torch.rand(steps, *channels_first)
    return observations, torch.randint(spec["actionSpace"]["n"], (steps,))


def logprob_of(logits, actions):
    return -F.cross_entropy(logits, actions, reduction="none")


def updater(network, observations, actions):
    """One PPO minibatch update, as in CleanRL's ppo.py without what it logs."""
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, eps=1e-5)
    with torch.no_grad():
        logits, old_values = network(observations)
        behavior_logprobs = logprob_of(logits, actions)
    advantages = torch.randn_like(old_values)
    returns = old_values + torch.randn_like(old_values)

    def once():
        normalized = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        logits, values = network(observations)
        all_logprobs = F.log_softmax(logits, dim=-1)
        logprobs = all_logprobs.gather(1, actions.unsqueeze(1)).squeeze(1)
        entropy = -(all_logprobs.exp() * all_logprobs).sum(-1)
        ratio = (logprobs - behavior_logprobs).exp()
        policy_loss = torch.max(-normalized * ratio, -normalized * ratio.clamp(1 - CLIP, 1 + CLIP)).mean()
        clipped = old_values + (values - old_values).clamp(-CLIP, CLIP)
        value_loss = 0.5 * torch.max((values - returns) ** 2, (clipped - returns) ** 2).mean()
        loss = policy_loss + VALUE_COEFFICIENT * value_loss - ENTROPY_COEFFICIENT * entropy.mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), MAX_GRAD_NORM)
        optimizer.step()

    return once


def without_gradients(work):
    def once():
        with torch.no_grad():
            work()

    return once


def work_of(case):
    """The case's work as a function, and the number of parameters it works on."""
    spec = case["model"]
    network = build(spec, case["sequenceLength"])
    observations, actions = made_up_inputs(spec, case["sequences"] * case["sequenceLength"])
    from_numpy = observations.numpy()
    task = {
        "update": lambda: updater(network, observations, actions),
        "logprob": lambda: without_gradients(lambda: logprob_of(network.policy(observations), actions)),
        "policy": lambda: without_gradients(lambda: network.policy(observations)),
        "policyFromNumpy": lambda: without_gradients(
            lambda: network.policy(torch.from_numpy(from_numpy)).numpy()
        ),
    }[case["task"]]
    return task(), sum(parameter.numel() for parameter in network.parameters())


def timed(work, iterations):
    start = time.perf_counter()
    for _ in range(iterations):
        work()
    return time.perf_counter() - start


def main():
    torch.manual_seed(1)
    torch.set_num_threads(int(sys.argv[1]))
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads()}))
    work = None
    for line in sys.stdin:
        verb, rest = line.split(" ", 1)
        if verb == "case":
            work, parameters = work_of(json.loads(rest))
            answer = {"parameters": parameters}
        else:
            answer = {"seconds": timed(work, int(rest))}
        print(json.dumps(answer))


main()
