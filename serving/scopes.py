"""What a key must be good for, by route, or by method and route where methods differ. What is missing here needs `admin`."""

from collections.abc import Mapping, Set
from typing import Final

from features.keys import Scope

KEYED_PATHS: Final = ("/v1/", "/xapi/")
"""What starts like this needs a key."""
OPEN_PATHS: Final[Set[str]] = frozenset({"/xapi/about"})
"""What needs none all the same: xAPI wants its versions said to everybody."""
SCOPES: Final[Mapping[str, Scope]] = {
    "/v1/recommendations": Scope.RANK,
    "/v1/rank": Scope.RANK,
    "/v1/learners/{learner_id}/skills": Scope.RANK,
    "/v1/learners/{learner_id}/gaps": Scope.RANK,
    "/v1/learners/{learner_id}/export": Scope.ADMIN,
    "DELETE /v1/learners/{learner_id}": Scope.ADMIN,
    "/v1/events": Scope.INGEST,
    "/v1/feedback": Scope.INGEST,
    "/v1/ingest/health": Scope.INGEST,
    "/xapi/statements": Scope.INGEST,
}


def scope_of(scopes: Mapping[str, Scope], method: str, route: str) -> Scope:
    """The scope that a request needs: what is said of its method there, else of the route, else `admin`."""
    return scopes.get(f"{method} {route}", scopes.get(route, Scope.ADMIN))
