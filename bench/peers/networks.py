"""The networks of core/model, as one writes them in PyTorch. Each gives logits [N, P] and values [N]."""

import torch
from torch import nn
from torch.nn import functional as F


class Mlp(nn.Module):
    """Separate actor and critic, tanh between the layers."""

    def __init__(self, spec):
        super().__init__()
        widths = [spec["observationSpace"]["shape"][0], *spec["hidden"]]
        self.actor = self.tower([*widths, spec["actionSpace"]["n"]])
        self.critic = self.tower([*widths, 1])

    @staticmethod
    def tower(widths):
        layers = []
        for a, b in zip(widths, widths[1:]):
            layers += [nn.Linear(a, b), nn.Tanh()]
        return nn.Sequential(*layers[:-1])

    def policy(self, observations):
        return self.actor(observations)

    def forward(self, observations):
        return self.actor(observations), self.critic(observations).squeeze(-1)


class SharedTrunk(nn.Module):
    """Features of `trunk`, then one linear layer each for actor and critic."""

    def __init__(self, trunk, features, actions):
        super().__init__()
        self.trunk = trunk
        self.actor = nn.Linear(features, actions)
        self.critic = nn.Linear(features, 1)

    def policy(self, observations):
        return self.actor(self.trunk(observations))

    def forward(self, observations):
        features = self.trunk(observations)
        return self.actor(features), self.critic(features).squeeze(-1)


def cnn(spec):
    """Convolutions with relu over [N, C, H, W], then dense layers with relu."""
    height, width, channels = spec["observationSpace"]["shape"]
    layers = []
    for layer in spec["convolutions"]:
        layers += [nn.Conv2d(channels, layer["channels"], layer["kernel"], layer["stride"]), nn.ReLU()]
        channels = layer["channels"]
        height = (height - layer["kernel"]) // layer["stride"] + 1
        width = (width - layer["kernel"]) // layer["stride"] + 1
    layers.append(nn.Flatten())
    features = channels * height * width
    for size in spec["hidden"]:
        layers += [nn.Linear(features, size), nn.ReLU()]
        features = size
    return SharedTrunk(nn.Sequential(*layers), features, spec["actionSpace"]["n"])


class Block(nn.Module):
    """Pre-norm transformer block with rotary positions; no biases but those of the norms."""

    def __init__(self, width, heads, feed_forward):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width, eps=1e-5)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.attention_out = nn.Linear(width, width, bias=False)
        self.feed_forward_norm = nn.LayerNorm(width, eps=1e-5)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, feed_forward, bias=False),
            nn.GELU(approximate="tanh"),
            nn.Linear(feed_forward, width, bias=False),
        )

    def attention(self, x, cos, sin):
        batch, length, width = x.shape
        q, k, v = (
            part.view(batch, length, self.heads, -1).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1)
        )
        mixed = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True)
        return self.attention_out(mixed.transpose(1, 2).reshape(batch, length, width))

    def forward(self, x, cos, sin):
        x = x + self.attention(self.attention_norm(x), cos, sin)
        return x + self.feed_forward(self.feed_forward_norm(x))


def rotate(x, cos, sin):
    """Rotary position embedding on half-split pairs; x [B, heads, L, d], cos and sin [L, d]."""
    a, b = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-b, a), dim=-1) * sin


class TransformerTrunk(nn.Module):
    """One token a step, sequences of `length` steps; [N, 1] → [N, width]."""

    def __init__(self, spec, length):
        super().__init__()
        if (spec["norm"], spec["activation"]) != ("layer", "gelu"):
            raise ValueError("the transformer here has layer norm and gelu")
        width, heads = spec["width"], spec["heads"]
        self.length = length
        self.embed = nn.Embedding(spec["observationSpace"]["n"], width)
        self.blocks = nn.ModuleList(Block(width, heads, spec["feedForward"]) for _ in range(spec["layers"]))
        self.norm = nn.LayerNorm(width, eps=1e-5)
        size = width // heads
        rates = 10000 ** (-torch.arange(0, size, 2) / size)
        angles = torch.outer(torch.arange(length), rates).repeat(1, 2)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)

    def forward(self, observations):
        x = self.embed(observations.view(-1, self.length))
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return self.norm(x).flatten(0, 1)


def build(spec, sequence_length):
    """The network of a ModelSpec (core/model/model.ts)."""
    if spec["kind"] == "mlp":
        return Mlp(spec)
    if spec["kind"] == "cnn":
        return cnn(spec)
    if spec["kind"] == "transformer":
        trunk = TransformerTrunk(spec, sequence_length)
        return SharedTrunk(trunk, spec["width"], spec["actionSpace"]["n"])
    raise ValueError(f"no network {spec['kind']} here")
