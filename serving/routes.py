"""The routes there are, in the order of routing: which one a request comes to, and what it is called."""

from collections.abc import Mapping, Set
from typing import Final, NamedTuple

from starlette.routing import compile_path

UNKNOWN: Final = "unknown"
"""What a path that is no route is counted as: a metric keeps every label it was ever given."""


class Found(NamedTuple):
    """A route as people write it (`/v1/learners/{learner_id}/skills`), and what its names stand for in a path."""

    route: str
    parameters: Mapping[str, str]


class Routes:
    """`routes`: all paths, each with its methods, in the order of routing."""

    def __init__(self, routes: Mapping[str, Set[str]]) -> None:
        self._exact = {route: methods for route, methods in routes.items() if "{" not in route}
        self._patterns = [(_plain(route), compile_path(route)[0], methods) for route, methods in routes.items()]
        self._methods = {route: self._taken(route) for route in self._exact}

    def find(self, method: str, path: str) -> Found:
        """The route that a request comes to: the first that takes its method, else the first of its path, else `UNKNOWN`."""
        if method in self._exact.get(path, ()):
            return Found(path, {})
        found = [
            (Found(route, match.groupdict()), methods)
            for route, pattern, methods in self._patterns
            if (match := pattern.match(path))
        ]
        first = found[0][0] if found else Found(UNKNOWN, {})
        return next((one for one, methods in found if method in methods), first)

    def methods(self, path: str) -> Set[str]:
        """The methods that the routes of a path take."""
        return self._methods.get(path) or self._taken(path)

    def _taken(self, path: str) -> Set[str]:
        return {method for _, pattern, methods in self._patterns if pattern.match(path) for method in methods}


def _plain(route: str) -> str:
    return route.replace(":path}", "}")
