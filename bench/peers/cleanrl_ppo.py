"""Becomes CleanRL's ppo.py, unmodified, with its own defaults, on the CPU: `cleanrl_ppo.py [path of ppo.py]`."""

import importlib.util
import os
import sys


def locate():
    if len(sys.argv) > 1:
        return sys.argv[1]
    spec = importlib.util.find_spec("cleanrl")
    for folder in [] if spec is None else spec.submodule_search_locations:
        path = os.path.join(folder, "ppo.py")
        if os.path.exists(path):
            return path
    sys.exit("no package cleanrl; see bench/README.md, or name its ppo.py with --cleanrl PATH")


os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.execv(sys.executable, [sys.executable, "-u", locate()])
