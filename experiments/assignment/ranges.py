"""Half-open ranges of buckets that only shrink and grow, so that a change of shares moves as few units as it can."""

from collections.abc import Iterable, Mapping, Sequence

from experiments.design import BUCKETS

Range = tuple[int, int]
"""[start, end) in ten-thousandths."""
Ranges = tuple[Range, ...]


def within(place: int, ranges: Iterable[Range]) -> bool:
    """Whether a bucket lies in one of these."""
    return any(start <= place < end for start, end in ranges)


def width(ranges: Iterable[Range]) -> int:
    """The number of buckets in these."""
    return sum(end - start for start, end in ranges)


def overlap(one: Iterable[Range], other: Sequence[Range]) -> int:
    """The number of buckets that both have."""
    return sum(max(0, min(end, last) - max(start, first)) for start, end in one for first, last in other)


def reallotted(before: Mapping[str, Ranges], wanted: Mapping[str, int], *, taken: Iterable[Range] = ()) -> dict[str, Ranges]:
    """Name -> ranges of the wanted widths, each bucket once and none that is `taken`.

    Whatever a name had it keeps, as far as its width allows; it gives up first what came to it last, so that shares which
    are changed and changed back give everybody the arm that they had. Raises ValueError where there is no room.
    """
    used = set(_each(taken))
    kept: dict[str, list[int]] = {}
    for name, size in wanted.items():
        kept[name] = [place for place in _each(before.get(name, ())) if place not in used][:size]
        used |= set(kept[name])
    free = [place for place in range(BUCKETS) if place not in used]
    missing = sum(size - len(kept[name]) for name, size in wanted.items())
    if missing > len(free):
        raise ValueError(f"{missing / BUCKETS:g} more is wanted and {len(free) / BUCKETS:g} is free")
    found, next_free = {}, 0
    for name, size in wanted.items():
        more = size - len(kept[name])
        found[name] = _joined(kept[name] + free[next_free : next_free + more])
        next_free += more
    return found


def _each(ranges: Iterable[Range]) -> list[int]:
    return [place for start, end in ranges for place in range(start, end)]


def _joined(places: Sequence[int]) -> Ranges:
    """The same places in the same order, as ranges."""
    found: list[list[int]] = []
    for place in places:
        if found and found[-1][1] == place:
            found[-1][1] += 1
        else:
            found.append([place, place + 1])
    return tuple((start, end) for start, end in found)
