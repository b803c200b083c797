"""Long work in pieces: whoever has it done beside others rests between two of them, and the work need not know how."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TypeVar

T = TypeVar("T")
Rest = Callable[[], None]

_REST: Final[ContextVar[Rest | None]] = ContextVar("rest", default=None)


@contextmanager
def resting(rest: Rest) -> Iterator[None]:
    """`rest` is called between the pieces of what is worked out inside, in this thread; elsewhere nothing changes."""
    before = _REST.set(rest)
    try:
        yield
    finally:
        _REST.reset(before)


def between() -> None:
    """Called between two pieces, each of a millisecond or two."""
    rest = _REST.get()
    if rest is not None:
        rest()


def in_pieces(rows: Iterable[T], every: int = 1) -> Iterator[T]:
    """The rows, with a rest possible after each `every` of them: as many as a millisecond is enough for."""
    rest = _REST.get()
    if rest is None:
        yield from rows
        return
    for number, row in enumerate(rows, 1):
        yield row
        if number % every == 0:
            rest()
