"""The route that tries rules."""

from typing import Final

from serving.openapi.parts import ERRORS, Document, json_of, problem, problems, ref, response, security
from serving.rules.payloads import DryRunAnswer, DryRunRequest

_DRY_RUN: Final = (
    "What rules would have changed: the newest rankings of this tenant, made again without and with them. Nothing is decided, "
    "recorded or changed."
)


def of_dry_run() -> Document:
    return {
        "post": {
            "summary": _DRY_RUN,
            "operationId": "dry_run",
            "security": security("/v1/rules:dry-run"),
            "requestBody": {"required": True, "content": json_of(ref(DryRunRequest))},
            "responses": {
                "200": response("Counts, over a sample that it names", json_of(ref(DryRunAnswer))),
                **problems(*ERRORS),
                "429": response("A dry run of this tenant is under way, or too many requests", problem()),
            },
        }
    }
