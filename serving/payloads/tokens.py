"""Short-lived tokens of one learner."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from features.events import Id
from serving.claims import TokenScope
from serving.payloads.parts import Body


class TokenRequest(Body):
    """Whom a token is for. Without `scopes` all that the key can give."""

    learner_id: Id = Field(description="The learner, by the id that the page will use: to a token an alias is somebody else.")
    ttl_s: Annotated[int, Field(ge=1, le=3_600, description="Seconds that it lives.")] = 900
    scopes: Annotated[tuple[TokenScope, ...] | None, Field(min_length=1, max_length=len(TokenScope))] = None


class TokenAnswer(BaseModel):
    """The token: the page sends it as `Authorization: Bearer TOKEN`. It is kept nowhere."""

    token: str
    learner_id: str
    scopes: tuple[TokenScope, ...]
    expires_at: datetime
