"""Keys that nobody has: how many of them are looked for, so that a flood of them does not become one of reads."""

from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from time import monotonic
from typing import Final

from serving.rates import Rates

PER_ADDRESS_S: Final = 1.0
BURST_S: Final = 20.0
"""Unknown keys of one address that are looked for: twenty at once, then one a second."""
IN_ALL_S: Final = 50.0
"""Unknown keys that one worker looks for a second, whatever the addresses: nobody owns few of them."""
_NETWORK: Final = 64
"""Bits of an IPv6 address that are one sender's."""


class Strangers:
    """Counted by this worker alone, with bounded memory: `Rates` forgets who was quiet longest."""

    def __init__(self, timer: Callable[[], float] = monotonic) -> None:
        self._each = Rates(PER_ADDRESS_S, burst_s=BURST_S, timer=timer)
        self._all = Rates(IN_ALL_S, timer=timer)

    def take(self, address: str) -> float:
        """0 where a key may be looked for; else the seconds until one may."""
        return self._each.take(_sender(address)) or self._all.take("")

    def put_back(self, address: str) -> None:
        """What was looked for was a key, or could not be looked for."""
        self._each.put_back(_sender(address))
        self._all.put_back("")


def _sender(address: str) -> str:
    """An IPv6 address without what its owner may choose; anything else as it is (a proxy's, empty for a local socket)."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    return str(found.ipv4_mapped or int(found) >> (128 - _NETWORK))
