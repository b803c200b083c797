"""Stored keys as this process last read them: how long that is believed, and how much is remembered of what there is not."""

from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final, TypeVar

from features.keys import Key
from serving.strangers import Strangers

TTL_S: Final = 5.0
"""Seconds that a key is taken as it was last read: a revoked one opens nothing after them, a new one opens at once unless it
was tried before it was made."""
GRACE_S: Final = 600.0
"""Seconds since a key was last read for which it goes on opening while the store cannot be read: rankings degrade, they do
not cease."""
REMEMBERED: Final = 10_000
"""Keys that are remembered, and as many hashes of none: who tries many keys pushes out nobody's."""

T = TypeVar("T")


class KeysUnreadableError(Exception):
    """Whether a key opens anything cannot be said: the store that knows does not answer."""


class TooManyUnknownError(Exception):
    """More unknown keys came than are looked for. `wait_s`: seconds until one is."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"no unknown key is looked for within {wait_s:.1f} s")
        self.wait_s = wait_s


class Looked:
    """Keys as they were last read, by what they are looked up by. `read`: an error where the store cannot be read.

    `strangers`: how many of those that there are not are looked for. Keys that are known are looked for always.
    """

    def __init__(
        self, read: Callable[[str], Awaitable[Key | None]], strangers: Strangers, *, timer: Callable[[], float] = monotonic
    ) -> None:
        self._read, self._strangers, self._timer = read, strangers, timer
        self._known: dict[str, tuple[Key, float]] = {}
        self._unknown: dict[str, float] = {}

    async def find(self, name: str, sender: str) -> Key | None:
        """The key as it was read in the last `TTL_S` seconds; with the store down, in the last `GRACE_S`.

        `sender`: the address that asks. Errors: KeysUnreadableError for a key that was not read lately while the store does not
        answer; TooManyUnknownError for one that is not known, where too many came that nobody has.
        """
        now = self._timer()
        known = self._known.get(name)
        if known is not None and now - known[1] < TTL_S:
            return known[0]
        if now - self._unknown.get(name, -TTL_S) < TTL_S:
            return None
        if known is None and (wait_s := self._strangers.take(sender)):
            raise TooManyUnknownError(wait_s)
        try:
            key = await self._read(name)
        except Exception as error:
            if known is None:
                self._strangers.put_back(sender)
            if known is not None and now - known[1] < GRACE_S:
                return known[0]
            raise KeysUnreadableError("the key cannot be looked up: the store does not answer") from error
        if known is None and key is not None:
            self._strangers.put_back(sender)
        self._remember(name, key, now)
        return key

    def _remember(self, name: str, key: Key | None, now: float) -> None:
        self._known.pop(name, None)
        self._unknown.pop(name, None)
        if key is None:
            _put(self._unknown, name, now)
        else:
            _put(self._known, name, (key, now))


def _put(remembered: dict[str, T], key_hash: str, value: T) -> None:
    """Keeps the newest `REMEMBERED`: a dict has them in the order in which they were put."""
    remembered[key_hash] = value
    if len(remembered) > REMEMBERED:
        del remembered[next(iter(remembered))]
