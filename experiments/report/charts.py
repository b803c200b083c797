"""Charts as inline SVG with their words in HTML: they fit any width, print, and are read out by their label."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

Write = Callable[[float], str]
KEY: Final = "<i class=key></i>"
PALE: Final = '<i class="key pale"></i>'
DASH: Final = '<i class="key dash"></i>'


@dataclass(frozen=True)
class Bar:
    """One interval of a chart: what it is of, its words, and the same before shrinkage, where it was shrunk."""

    label: str
    words: str
    low: float
    value: float
    high: float
    alone: tuple[float, float] | None = None


def intervals(bars: Sequence[Bar], write: Write, *, mark: float | None = None, up: bool = True) -> str:
    """Intervals below each other on one scale with zero on it.

    `mark`: a dashed line at what was registered. `up`: whether more is better.
    """
    ends = [end for bar in bars for end in (bar.low, bar.high, *(bar.alone or ()))]
    scale = _Scale.around([0.0, *ends, *([] if mark is None else [mark])])
    return "".join(_interval(bar, scale, mark) for bar in bars) + _axis(scale, write) + _ways(scale, up=up)


def _interval(bar: Bar, scale: "_Scale", mark: float | None) -> str:
    lines = [_upright(tick, scale, "grid") for tick in scale.ticks if tick] + [_upright(0.0, scale, "zero")]
    if mark is not None:
        lines.append(_upright(mark, scale, "bar"))
    if bar.alone is not None:
        lines.append(_level(*bar.alone, scale, "alone"))
    lines.append(_level(bar.low, bar.high, scale, "reach"))
    lines.append(f'<circle class=dot cx="{scale.at(bar.value)}%" cy=14 r=7 />')
    told = escape(f"{bar.label}: {bar.words}", quote=True)
    return (
        f"<div class=row><div><b>{escape(bar.label)}</b><span>{escape(bar.words)}</span></div>"
        f'<svg height=28 role=img aria-label="{told}">{"".join(lines)}</svg></div>'
    )


def _upright(value: float, scale: "_Scale", kind: str) -> str:
    place = scale.at(value)
    return f'<line class={kind} x1="{place}%" x2="{place}%" y1=0 y2=28 />'


def _level(low: float, high: float, scale: "_Scale", kind: str) -> str:
    return f'<line class={kind} x1="{scale.at(low)}%" x2="{scale.at(high)}%" y1=14 y2=14 />'


def _axis(scale: "_Scale", write: Write) -> str:
    shown = (
        [scale.ticks[0], 0.0, scale.ticks[-1]] if scale.ticks[0] < 0 < scale.ticks[-1] else [scale.ticks[0], scale.ticks[-1]]
    )
    labels = "".join(f'<span style="{_under(scale.at(tick))}">{escape(write(tick))}</span>' for tick in shown)
    return f"<div class=axis aria-hidden=true>{labels}</div>"


def _under(place: float) -> str:
    """Centred below a tick; near an end, on the inner side of it."""
    return f"left:{place}%;transform:translateX({0 if place < 8 else -100 if place > 92 else -50}%)"


def _ways(scale: "_Scale", *, up: bool) -> str:
    """Which side of zero is good; a side is named where it has room."""
    zero, left, right = scale.at(0.0), *(("worse", "better") if up else ("better", "worse"))
    sides = f'<span style="right:{100 - zero:.2f}%">← {left}</span>' if zero > 25 else ""
    sides += f'<span style="left:{zero}%">{right} →</span>' if zero < 75 else ""
    return f"<div class=ways aria-hidden=true>{sides}</div>"


def band(
    lows: Sequence[float],
    values: Sequence[float],
    highs: Sequence[float],
    write: Write,
    *,
    ends: tuple[str, str],
    told: str,
    mark: float | None = None,
) -> str:
    """A line with its band from left to right, evenly spaced. `ends`: words below both ends. `told`: what it shows, read out.

    Early bands that reach far beyond the rest are cut at the edge.
    """
    late = slice(len(values) // 4, None)
    scale = _Scale.around([0.0, *values[late], *lows[late], *highs[late], *([] if mark is None else [mark])])
    xs = _spread(len(values))
    above = " ".join(f"{x},{_down(scale, high)}" for x, high in zip(xs, highs, strict=True))
    below = " ".join(f"{x},{_down(scale, low)}" for x, low in reversed(list(zip(xs, lows, strict=True))))
    way = "M" + " L".join(f"{x} {_down(scale, value)}" for x, value in zip(xs, values, strict=True))
    inside = f'<polygon class=band points="{above} {below}" /><path class=way d="{way}" />'
    return _plot(inside, scale, write, ends, told, mark)


def points(
    lows: Sequence[float], values: Sequence[float], highs: Sequence[float], write: Write, *, ends: tuple[str, str], told: str
) -> str:
    """Points with their intervals from left to right, evenly spaced."""
    scale = _Scale.around([0.0, *lows, *highs])
    inside = ""
    for x, low, value, high in zip(_spread(len(values), 3), lows, values, highs, strict=True):
        inside += f'<line class=thin x1="{x}" x2="{x}" y1="{_down(scale, low)}" y2="{_down(scale, high)}" />'
        inside += f'<path class=point d="M{x} {_down(scale, value)}h.01" />'
    return _plot(inside, scale, write, ends, told, None)


def _plot(inside: str, scale: "_Scale", write: Write, ends: tuple[str, str], told: str, mark: float | None) -> str:
    labels = "".join(f'<span style="top:{_down(scale, tick)}%">{escape(write(tick))}</span>' for tick in scale.ticks)
    lines = "".join(_across(tick, scale, "grid" if tick else "zero") for tick in scale.ticks)
    marked = "" if mark is None else _across(mark, scale, "bar")
    return (
        f"<div class=plot><div class=ys aria-hidden=true>{labels}</div>"
        f'<svg viewBox="0 0 100 100" preserveAspectRatio=none role=img aria-label="{escape(told, quote=True)}">'
        f"{lines}{inside}{marked}</svg>"
        f"<div class=xs aria-hidden=true><span>{escape(ends[0])}</span><span>{escape(ends[1])}</span></div></div>"
    )


def _across(value: float, scale: "_Scale", kind: str) -> str:
    place = _down(scale, value)
    return f'<line class={kind} x1=0 x2=100 y1="{place}" y2="{place}" />'


def _down(scale: "_Scale", value: float) -> float:
    """Percent from the top, kept near the picture."""
    return round(min(max(100 - scale.at(value), -20.0), 120.0), 2)


def _spread(count: int, margin: float = 0) -> list[float]:
    """Percents from left to right."""
    return [round(margin + (100 - 2 * margin) * (place / (count - 1) if count > 1 else 0.5), 2) for place in range(count)]


@dataclass(frozen=True)
class _Scale:
    """From `low` to `high` with round ticks between."""

    low: float
    high: float
    ticks: tuple[float, ...]

    @classmethod
    def around(cls, values: Sequence[float]) -> "_Scale":
        low, high = min(values), max(values)
        pad = (high - low or 1.0) * 0.06
        low, high = low - pad, high + pad
        step = _step((high - low) / 4)
        return cls(low, high, tuple(place * step for place in range(math.ceil(low / step), math.floor(high / step) + 1)))

    def at(self, value: float) -> float:
        """Percent from the low end."""
        return round(100 * (value - self.low) / (self.high - self.low), 2)


def _step(about: float) -> float:
    """The next of 1, 2 and 5 times a power of ten, so that there are two to five ticks."""
    power = 10.0 ** math.floor(math.log10(about))
    return next(power * times for times in (1, 2, 5, 10) if power * times >= about)
