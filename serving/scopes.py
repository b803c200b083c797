"""What a key must be good for, by route, and by method where these differ. A keyed route that is missing here needs `admin`.

A learner token opens what is listed for tokens, and nothing else.
"""

from collections.abc import Mapping, Set
from typing import Final

from features.catalogue import KINDS
from features.keys import Scope
from serving.claims import TokenScope

PAGES: Final = "/preview/"
"""What a browser asks for, with a key or token as password."""
KEYED_PATHS: Final = ("/v1/", "/xapi/", PAGES)
"""What starts like this needs a key."""
OPEN_PATHS: Final[Set[str]] = frozenset({"/xapi/about"})
"""What needs none all the same: xAPI wants its versions said to everybody."""
FOR_PEOPLE: Final[Set[str]] = frozenset({"/nudges/act"})
"""Pages behind links that people were sent: the link is the credential, and a browser is told in HTML what is wrong."""
FOR_OPERATORS: Final[Set[str]] = frozenset({"/livez", "/readyz", "/metrics"})
"""How the service is: said also while it turns others away."""
_BY_METHOD: Final[Mapping[tuple[str, str], Scope]] = {
    ("PUT", "/v1/learners/{learner_id}/nudges"): Scope.INGEST,  # it stores what somebody chose, as feedback does
    ("DELETE", "/v1/learners/{learner_id}"): Scope.ADMIN,  # to erase a person is more than to send rows
}
BY_ROUTE: Final[Mapping[str, Scope]] = {
    "/v1/recommendations": Scope.RANK,
    "/v1/rank": Scope.RANK,
    "/v1/nudge": Scope.RANK,
    "/v1/decisions/{decision_id}": Scope.RANK,
    "/v1/decisions/{decision_id}/check": Scope.RANK,
    "/v1/slates/{decision_id}": Scope.RANK,
    "/v1/slates/replay": Scope.INGEST,
    "/v1/explain": Scope.RANK,
    "/preview/{learner_id}": Scope.RANK,
    "/v1/learners/{learner_id}/skills": Scope.RANK,
    "/v1/learners/{learner_id}/gaps": Scope.RANK,
    "/v1/learners/{learner_id}/progress": Scope.RANK,
    "/v1/learners/{learner_id}/nudges": Scope.RANK,
    "/v1/learners/{learner_id}/duties": Scope.RANK,
    "/v1/learners/{learner_id}/export": Scope.ADMIN,
    "/v1/learners/{learner_id}/merge": Scope.SYNC,
    "/v1/learners/{learner_id}/unmerge": Scope.SYNC,
    "/v1/tokens": Scope.RANK,
    "/v1/audit": Scope.ADMIN,
    "/v1/assignments/{assignment_id}/report": Scope.REPORTS,
    "/v1/rules:dry-run": Scope.REPORTS,
    "/v1/events": Scope.INGEST,
    "/v1/evidence": Scope.INGEST,
    "/v1/feedback": Scope.INGEST,
    "/v1/ingest/health": Scope.INGEST,
    "/xapi/statements": Scope.INGEST,
    **{f"/v1/{kind}s": Scope.SYNC for kind in KINDS},
    **{f"/v1/{kind}s/{{{kind}_id}}": Scope.SYNC for kind in KINDS},
}
_OF_TOKENS: Final[Mapping[tuple[str, str], TokenScope]] = {
    ("POST", "/v1/recommendations"): TokenScope.RANK,
    ("POST", "/v1/rank"): TokenScope.RANK,
    ("GET", "/v1/decisions/{decision_id}"): TokenScope.RANK,
    ("GET", "/v1/decisions/{decision_id}/check"): TokenScope.RANK,
    ("GET", "/v1/slates/{decision_id}"): TokenScope.RANK,
    ("POST", "/v1/explain"): TokenScope.RANK,
    ("GET", "/preview/{learner_id}"): TokenScope.RANK,
    ("GET", "/v1/learners/{learner_id}/skills"): TokenScope.RANK,
    ("GET", "/v1/learners/{learner_id}/gaps"): TokenScope.RANK,
    ("GET", "/v1/learners/{learner_id}/progress"): TokenScope.RANK,
    ("GET", "/v1/learners/{learner_id}/nudges"): TokenScope.RANK,
    ("PUT", "/v1/learners/{learner_id}/nudges"): TokenScope.FEEDBACK,
    ("POST", "/v1/feedback"): TokenScope.FEEDBACK,
}


def token_scope_of(method: str, route: str) -> TokenScope | None:
    """What a learner token must be good for to call a route; None: no token opens it."""
    return _OF_TOKENS.get((method, route))


def token_methods(route: str) -> Set[str]:
    """The methods of a route that a learner token opens."""
    return {method for method, other in _OF_TOKENS if other == route}


def scope_of(method: str, route: str) -> Scope:
    """What a key must be good for to call a route."""
    return _BY_METHOD.get((method, route)) or BY_ROUTE.get(route, Scope.ADMIN)
