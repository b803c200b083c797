"""What a key must be good for, by route. A keyed route that is missing here needs `admin`."""

from collections.abc import Mapping, Set
from typing import Final

from features.catalogue import KINDS
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
    "/v1/events": Scope.INGEST,
    "/v1/evidence": Scope.INGEST,
    "/v1/feedback": Scope.INGEST,
    "/v1/ingest/health": Scope.INGEST,
    "/xapi/statements": Scope.INGEST,
    **{f"/v1/{kind}s": Scope.SYNC for kind in KINDS},
    **{f"/v1/{kind}s/{{{kind}_id}}": Scope.SYNC for kind in KINDS},
}
