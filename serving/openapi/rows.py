"""The routes of the catalogue's kinds."""

from features.catalogue import KINDS
from serving.catalogue import MAX_BYTES, NOT_RETIRED, PLURALS
from serving.openapi.learners import erase
from serving.openapi.parts import ERRORS, ID, Document, json_of, parameters_of, problem, problems, ref, response, security
from serving.payloads import CatalogueAnswer, SyncQuery
from serving.rows import MAX_ROWS


def of_rows() -> Document:
    """The routes of the catalogue's kinds: the same for all, but that learners are not retired by name."""
    paths: Document = {}
    for plural, kind in PLURALS.items():
        row, name = ref(KINDS[kind]), f"{kind}_id"
        parameters = [{"name": name, "in": "path", "required": True, "schema": ID}]
        named: Document = {"security": security(f"/v1/{plural}/{{{name}}}"), "parameters": parameters}
        missing = response(f"There is no such {kind}", problem())
        paths[f"/v1/{plural}"] = {
            "put": {
                "security": security(f"/v1/{plural}"),
                "summary": f"Store {plural}, all or none: new ones, and new versions of those that changed. With "
                f"`snapshot=true` the body is all {plural} there are, in any number; the others are retired.",
                "operationId": f"put_{plural}",
                "parameters": parameters_of(SyncQuery),
                "requestBody": {
                    "required": True,
                    "content": json_of({"oneOf": [row, {"type": "array", "items": row, "maxItems": MAX_ROWS}]}),
                },
                "responses": {
                    "200": response("What became of the rows, and which names lead nowhere", json_of(ref(CatalogueAnswer))),
                    **problems(*ERRORS),
                    "409": response(
                        "The snapshot retires too much, an item is granted, a name is another learner's, or a clock went back",
                        problem(),
                    ),
                    "413": response(f"More than {MAX_BYTES:,} bytes", problem()),
                },
            }
        }
        paths[f"/v1/{plural}/{{{name}}}"] = {
            "get": named
            | {
                "summary": f"The {kind} as it stands now.",
                "operationId": f"get_{kind}",
                "responses": {
                    "200": response(f"The {kind}", json_of(row)),
                    **problems("400", "401", "403", "429", "503"),
                    "404": missing,
                },
            }
        }
        if kind not in NOT_RETIRED:
            paths[f"/v1/{plural}/{{{name}}}"]["delete"] = named | {
                "summary": f"Retire one {kind}: it stands no more, and did until now. A PUT brings it back.",
                "operationId": f"retire_{kind}",
                "responses": {
                    "204": {"description": "It is retired"},
                    **problems("400", "401", "403", "429", "503"),
                    "404": missing,
                    "409": response("A clock went back; nothing was changed", problem()),
                },
            }
    paths["/v1/learners/{learner_id}"]["delete"] = erase()
    return paths
