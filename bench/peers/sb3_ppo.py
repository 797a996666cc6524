"""Stable-Baselines3's PPO on CartPole-v1: 64×64 actor and critic, 8 environments, 4 epochs of 4 minibatches."""

import sys
import time

try:
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env
except ImportError as error:
    sys.exit(f"{error}; pip install stable-baselines3")


class Throughput(BaseCallback):
    """Prints what CleanRL prints, at the same point: once a batch is trained on."""

    def _on_training_start(self):
        self.start = time.time()

    def _on_rollout_start(self):
        if self.num_timesteps > 0:
            print("SPS:", int(self.num_timesteps / (time.time() - self.start)))

    def _on_step(self):
        return True


model = PPO(
    "MlpPolicy",
    make_vec_env("CartPole-v1", n_envs=8, seed=1),
    n_steps=128,
    batch_size=256,
    n_epochs=4,
    policy_kwargs={"net_arch": {"pi": [64, 64], "vf": [64, 64]}},
    device="cpu",
    seed=1,
)
model.learn(total_timesteps=10_000_000, callback=Throughput())
