"""The BentoML service: two APIs, and everything else mounted at `/`. No logic here; see `serving.app` and `serving.runtime`."""

from typing import cast

from serving.settings import Settings, one_thread

one_thread()

import bentoml  # noqa: E402

from serving.app import Pages, attach, rank, recommend  # noqa: E402
from serving.payloads import RankAnswer, RankRequest, RecommendationsAnswer, RecommendationsRequest  # noqa: E402

pages = Pages(Settings())


@bentoml.service(
    name="nextwise",
    workers=1,
    traffic={"timeout": 10},
    metrics={"enabled": False},  # ours are at /metrics
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": [""]},  # of all: the front door makes the spans
    envs=[
        {"name": "OPENBLAS_NUM_THREADS", "value": "1"},
        {"name": "OMP_NUM_THREADS", "value": "1"},
        {"name": "OTEL_SDK_DISABLED", "value": "true"},  # spans that nobody exports; set it to false to trace
    ],
)
class Nextwise:
    """What should this learner learn next? Rankings with reasons."""

    # By HTTP the front door, which has read and validated the body, calls what these call. BentoML passes a response on.

    @bentoml.api(route="/v1/recommendations")
    async def recommendations(self, request: RecommendationsRequest, /) -> RecommendationsAnswer:
        """Choose items for a learner from the whole catalogue, in titled rows without duplicates, each with its reasons."""
        return cast(RecommendationsAnswer, await recommend(pages.runtime, request))

    @bentoml.api(route="/v1/rank")
    async def rank(self, request: RankRequest, /) -> RankAnswer:
        """Rank the caller's candidates for a learner; what is not ranked is listed under the rule that removed it."""
        return cast(RankAnswer, await rank(pages.runtime, request))


attach(Nextwise, pages)
