"""The transformer's forward pass in numpy, for the newest place of each history: what serving runs.

`training.models.transformer` is the same computation in torch, for every place at once.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Weights = Mapping[str, Floats]

EPSILON = 1e-6  # of the root mean square
WIDER = 2  # the feed-forward layer's width over dim

_OF_BLOCKS = (
    *("attention_norm", "attention_in", "attention_lag", "attention_out", "attention_gate", "attention_bias"),
    *("feed_norm", "feed_in", "feed_out", "feed_gate", "feed_bias"),
)


def shapes(n_items: int, dim: int, blocks: int, heads: int, max_length: int, n_gaps: int) -> dict[str, tuple[int, ...]]:
    """The shape of every weight by name; those of the blocks are stacked along the first axis."""
    return {
        "item": (n_items, dim),
        "position": (max_length, dim),
        "gap": (n_gaps, dim),
        "attention_norm": (blocks, dim),
        "attention_in": (blocks, dim, 3 * dim),
        "attention_lag": (blocks, heads, max_length),
        "attention_out": (blocks, dim, dim),
        "attention_gate": (blocks, dim, dim),
        "attention_bias": (blocks, dim),
        "feed_norm": (blocks, dim),
        "feed_in": (blocks, dim, 2 * WIDER * dim),
        "feed_out": (blocks, WIDER * dim, dim),
        "feed_gate": (blocks, dim, dim),
        "feed_bias": (blocks, dim),
        "norm": (dim,),
    }


def last_states(weights: Weights, items: NDArray[np.int32], gaps: NDArray[np.int32]) -> Floats:
    """float32[n, dim]: the state after the last of int32[n, length] items and gap buckets; `item` @ state are scores."""
    x = weights["item"][items] * np.float32(weights["item"].shape[1] ** 0.5)
    x = x + weights["position"][: items.shape[1]] + weights["gap"][gaps]
    blocks = len(weights["attention_in"])
    for block in range(blocks):
        x = _block({name: weights[name][block] for name in _OF_BLOCKS}, x, last_only=block == blocks - 1)
    return _norm(x[:, -1], weights["norm"])


def state_of_one(weights: Weights, items: NDArray[np.int32], gaps: NDArray[np.int32]) -> Floats:
    """float32[dim]: the same of int32[length], one history, in as few steps as numpy can take: these are its time here."""
    length, dim = len(items), weights["item"].shape[1]
    x = weights["item"][items] * np.float32(dim**0.5)
    x += weights["position"][:length]
    x += weights["gap"][gaps]
    last = len(weights["attention_in"]) - 1
    for block in range(last):
        x = _block({name: weights[name][block] for name in _OF_BLOCKS}, x[None], last_only=False)[0]
    return _norm_of_one(_last_place({name: weights[name][last] for name in _OF_BLOCKS}, x), weights["norm"])


def _last_place(own: Weights, x: Floats) -> Floats:
    """`_block` of the last place of float32[length, dim] alone."""
    length, dim = x.shape
    heads = len(own["attention_lag"])
    lengths = np.sqrt(np.vecdot(x, x) / np.float32(dim) + np.float32(EPSILON))
    normed, last = x / lengths[:, None] * own["attention_norm"], x[-1]
    query = (normed[-1] @ own["attention_in"][:, :dim]) * np.float32((dim // heads) ** -0.5)
    looked = (normed @ own["attention_in"][:, dim:]).reshape(length, 2, heads, dim // heads).transpose(1, 2, 0, 3)
    weight = (looked[0] @ query.reshape(heads, -1, 1))[..., 0] + own["attention_lag"][:, :length][:, ::-1]
    weight = np.exp(weight - weight.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    mixed = (weight[:, None] @ looked[1]).reshape(dim) @ own["attention_out"]
    last = last + _gate(last, own["attention_gate"], own["attention_bias"]) * mixed
    wide = _norm_of_one(last, own["feed_norm"]) @ own["feed_in"]
    value, gate = wide[: len(wide) // 2], wide[len(wide) // 2 :]
    fed = (value * _sigmoid(value) * gate) @ own["feed_out"]
    found: Floats = last + _gate(last, own["feed_gate"], own["feed_bias"]) * fed
    return found


def _block(own: Weights, x: Floats, *, last_only: bool) -> Floats:
    """float32[n, length, dim], or of the last place alone, which is all that is read of the last block."""
    normed = _norm(x, own["attention_norm"])
    x, asking = (x[:, -1:], normed[:, -1:]) if last_only else (x, normed)
    x = x + _gate(x, own["attention_gate"], own["attention_bias"]) * _attend(own, asking, normed)
    wide = _norm(x, own["feed_norm"]) @ own["feed_in"]
    value, gate = wide[..., : wide.shape[-1] // 2], wide[..., wide.shape[-1] // 2 :]
    fed: Floats = (value * _sigmoid(value) * gate) @ own["feed_out"]
    return x + _gate(x, own["feed_gate"], own["feed_bias"]) * fed


def _attend(own: Weights, asking: Floats, x: Floats) -> Floats:
    """Causal attention of float32[n, m, dim], the last m places, to float32[n, length, dim]; a learned bias by lag and head."""
    n, length, dim = x.shape
    heads = len(own["attention_lag"])
    query = _heads(asking @ own["attention_in"][:, :dim], heads)
    key, value = (_heads(x @ own["attention_in"][:, part * dim : (part + 1) * dim], heads) for part in (1, 2))
    lag = np.arange(length - asking.shape[1], length)[:, None] - np.arange(length)
    bias = np.where(lag < 0, -np.inf, own["attention_lag"][:, np.maximum(lag, 0)])
    weight = query @ key.swapaxes(-1, -2) * np.float32((dim // heads) ** -0.5) + bias.astype(np.float32)
    weight = np.exp(weight - weight.max(axis=-1, keepdims=True))
    mixed = (weight / weight.sum(axis=-1, keepdims=True)) @ value
    found: Floats = mixed.swapaxes(1, 2).reshape(n, -1, dim) @ own["attention_out"]
    return found


def _heads(x: Floats, heads: int) -> Floats:
    """float32[n, heads, length, dim / heads] of float32[n, length, dim]."""
    return x.reshape(*x.shape[:2], heads, -1).swapaxes(1, 2)


def _norm(x: Floats, scale: Floats) -> Floats:
    """Root mean square normalisation (Zhang, Sennrich 2019)."""
    square = np.einsum("...i,...i->...", x, x)[..., None] / np.float32(x.shape[-1])
    found: Floats = x / np.sqrt(square + np.float32(EPSILON)) * scale
    return found


def _norm_of_one(x: Floats, scale: Floats) -> Floats:
    """`_norm` of float32[dim], its length a plain number."""
    found: Floats = x * scale * np.float32((float(x @ x) / len(x) + EPSILON) ** -0.5)
    return found


def _gate(x: Floats, weight: Floats, bias: Floats) -> Floats:
    return _sigmoid(x @ weight + bias)


def _sigmoid(x: Floats) -> Floats:
    found: Floats = np.float32(0.5) * (1 + np.tanh(np.float32(0.5) * x))
    return found
