"""The route that tries rules."""

from typing import Final

from serving.openapi.parts import ERRORS, Document, json_of, post_of, problem, problems, ref, response
from serving.rules.payloads import DryRunAnswer, DryRunRequest

_DRY_RUN: Final = (
    "What rules would have changed: the newest rankings of this tenant, made again without and with them. Nothing is decided, "
    "recorded or changed."
)


def of_dry_run() -> Document:
    answers = {
        "200": response("Counts, over a sample that it names", json_of(ref(DryRunAnswer))),
        **problems(*ERRORS),
        "429": response("A dry run of this tenant is under way, or too many requests", problem()),
    }
    return post_of("/v1/rules:dry-run", "dry_run", _DRY_RUN, ref(DryRunRequest), answers)
