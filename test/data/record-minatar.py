"""Records what MinAtar 1.0.15 does, for test/envs/minatar.test.ts.

    pip install --no-deps minatar==1.0.15 numpy
    python test/data/record-minatar.py > test/data/minatar.json

The games draw from a copy of core/random.ts in place of NumPy's stream, so that every draw of a recorded run can be
repeated. Actions are those of a player who looks ahead, so that games last and most rules come to apply. Each step is
recorded as six digits of an FNV-1a hash of its board, reward and end.
"""

import copy
import json
import sys

import numpy as np
from minatar import Environment

STEPS = 2500
MASK = 0xFFFFFFFF


class Random:
    """core/random.ts, with the interface of numpy.random.RandomState that MinAtar uses."""

    def __init__(self, seed):
        self.s = []
        for _ in range(4):
            seed = (seed + 0x9E3779B9) & MASK
            t = seed ^ (seed >> 16)
            t = (t * 0x21F0AAAD) & MASK
            t ^= t >> 15
            t = (t * 0x735A2D97) & MASK
            self.s.append(t ^ (t >> 15))

    def next(self):
        s = self.s
        x = (s[1] * 5) & MASK
        result = (((x << 7) | (x >> 25)) * 9) & MASK
        t = (s[1] << 9) & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = ((s[3] << 11) | (s[3] >> 21)) & MASK
        return result

    def rand(self, size=None):
        if size is not None:
            return np.array([self.rand() for _ in range(size)])
        return self.next() / 4294967296

    def randint(self, low, high=None, size=None):
        if high is None:
            low, high = 0, low
        if size is not None:
            return np.array([self.randint(low, high) for _ in range(size)])
        return low + int(self.rand() * (high - low))


def digest(board, reward, terminal):
    h = 0x811C9DC5
    for byte in [*board.reshape(-1).astype(int).tolist(), int(reward), int(terminal)]:
        h = ((h ^ byte) * 0x01000193) & MASK
    return "%06x" % (h >> 8)


def interest(env):
    """What a player who looks ahead also cares for."""
    game = env.env
    if env.env_name == "seaquest":
        return 0.5 * game.diver_count + (0.0 if game.oxygen > 40 else 0.05 * (game.oxygen - 40))
    if env.env_name == "freeway":
        return -0.1 * game.pos
    return 0.0


def choose(env, actions, chooser, depth):
    """The action whose best of three random futures, cut after `depth` steps, is best."""
    best, chosen = None, 0
    for action in actions:
        for _ in range(3):
            future = copy.deepcopy(env)
            reward, terminal = future.act(action)
            score = 1.0 * reward
            for t in range(depth):
                if terminal:
                    score -= 50.0
                    break
                reward, terminal = future.act(actions[chooser.randint(len(actions))])
                score += reward * 0.98**t
            score += interest(future) + 0.001 * chooser.rand()
            if best is None or score > best:
                best, chosen = score, action
    return chosen


def record(game, seed, sticky, ramping, depth):
    env = Environment(game, sticky_action_prob=sticky, difficulty_ramping=ramping)
    stream, chooser = Random(seed), Random(seed + 1)
    env.random = env.env.random = stream
    env.reset()
    actions = env.minimal_action_set()
    steps, played, total, episodes, length = [digest(env.state(), 0, False)], "", 0, 0, 0
    for _ in range(STEPS):
        # One step in fifty is not thought about, so that games end.
        careless = chooser.rand() < 0.02
        action = actions[chooser.randint(len(actions))] if careless else choose(env, actions, chooser, depth)
        played += str(actions.index(action))
        reward, terminal = env.act(action)
        total += int(reward)
        length += 1
        steps.append(digest(env.state(), reward, terminal))
        # A time limit in Skein, which shows as a restart here.
        if terminal or (game == "freeway" and length == 2500):
            episodes += 1
            length = 0
            env.last_action = 0
            env.reset()
            steps.append(digest(env.state(), 0, False))
    print(game, total, episodes, file=sys.stderr)
    return dict(seed=seed, sticky=sticky, ramping=ramping, actions=played, reward=total, steps="".join(steps))


RUNS = {
    "Breakout": [(1, 0.1, True, 12)],
    "Asterix": [(2, 0.1, True, 12), (3, 0.1, False, 8)],
    "Freeway": [(4, 0.1, True, 12)],
    "Seaquest": [(5, 0.1, True, 14), (6, 0.0, False, 10)],
    "SpaceInvaders": [(7, 0.1, True, 12), (8, 0.0, False, 8)],
}
NAMES = {"SpaceInvaders": "space_invaders"}
if __name__ == "__main__":
    recorded = {
        name: [record(NAMES.get(name, name.lower()), *run) for run in runs] for name, runs in RUNS.items()
    }
    json.dump(recorded, sys.stdout, separators=(",", ":"))
    sys.stdout.write("\n")
