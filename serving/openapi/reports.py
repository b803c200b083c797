"""The routes of reports."""

from serving.openapi.parts import ID, Document, json_of, problem, problems, ref, response, security
from serving.payloads import AssignmentReport


def of_assignment() -> Document:
    return {
        "get": {
            "summary": "Whom an assignment reached: who saw its item, who began it, who has done it, who is overdue.",
            "operationId": "assignment_report",
            "security": security("/v1/assignments/{assignment_id}/report", "GET"),
            "parameters": [{"name": "assignment_id", "in": "path", "required": True, "schema": ID}],
            "responses": {
                "200": response("Counts, and each learner", json_of(ref(AssignmentReport))),
                **problems("400", "401", "403", "429", "503"),
                "404": response("There is no such assignment", problem()),
            },
        }
    }
