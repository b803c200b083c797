"""The sequence model's network in torch, for training: every place of a history predicts the next item.

A decoder of gated residual blocks (LiGR, Borisyuk et al. 2024; eSASRec, Tikhonovich et al. 2025) over SASRec's shared item
embedding (Kang, McAuley 2018). `training.models.attention` is the same computation in numpy, for the newest place alone.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.models.attention import EPSILON

_ONES, _ZEROS = ("norm", "attention_norm", "feed_norm"), ("position", "gap", "attention_lag", "attention_bias", "feed_bias")


class Transformer(nn.Module):
    """Weights by name as `attention.shapes` has them; drawn from torch's generator."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], dropout: float) -> None:
        super().__init__()
        self.weights = nn.ParameterDict({name: nn.Parameter(_start(name, shape)) for name, shape in shapes.items()})
        self.dropout = dropout

    def forward(self, items: Tensor, gaps: Tensor) -> Tensor:
        """float32[n, length, dim] of int64[n, length]: the state at each place, which knows the places up to it."""
        w = self.weights
        x = functional.embedding(items, w["item"]) * w["item"].shape[1] ** 0.5
        x = self._drop(x + w["position"][: items.shape[1]] + functional.embedding(gaps, w["gap"]))
        for block in range(len(w["attention_in"])):
            x = self._block({name: array[block] for name, array in w.items() if name.startswith(("attention", "feed"))}, x)
        return _norm(x, w["norm"])

    def _block(self, own: Mapping[str, Tensor], x: Tensor) -> Tensor:
        attended = self._drop(_attend(own, _norm(x, own["attention_norm"])))
        x = x + torch.sigmoid(x @ own["attention_gate"] + own["attention_bias"]) * attended
        value, gate = (_norm(x, own["feed_norm"]) @ own["feed_in"]).chunk(2, dim=-1)
        fed = self._drop((functional.silu(value) * gate) @ own["feed_out"])
        return x + torch.sigmoid(x @ own["feed_gate"] + own["feed_bias"]) * fed

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Copies of the weights as C-ordered float32."""
        return {name: weight.detach().cpu().numpy().copy(order="C") for name, weight in self.weights.items()}


def _start(name: str, shape: tuple[int, ...]) -> Tensor:
    if name in _ONES:
        return torch.ones(shape)
    if name in _ZEROS:
        return torch.zeros(shape)
    if name == "item":
        return torch.randn(shape) * 0.02
    bound = (6 / (shape[-2] + shape[-1])) ** 0.5  # Glorot, Bengio 2010
    return torch.empty(shape).uniform_(-bound, bound)


def _attend(own: Mapping[str, Tensor], x: Tensor) -> Tensor:
    n, length, dim = x.shape
    heads = len(own["attention_lag"])
    query, key, value = (x @ own["attention_in"]).view(n, length, 3, heads, dim // heads).permute(2, 0, 3, 1, 4)
    place = torch.arange(length, device=x.device)
    lag = place[:, None] - place
    bias = own["attention_lag"][:, lag.clamp(min=0)].masked_fill(lag < 0, -torch.inf)  # [heads, length, length]
    weight = torch.softmax(query @ key.transpose(-1, -2) * (dim // heads) ** -0.5 + bias, dim=-1)
    mixed: Tensor = (weight @ value).transpose(1, 2).reshape(n, length, dim)
    return mixed @ own["attention_out"]


def _norm(x: Tensor, scale: Tensor) -> Tensor:
    return functional.rms_norm(x, (x.shape[-1],), scale, EPSILON)
