"""The page behind the links of a nudge's card."""

from typing import Final

from serving.openapi.parts import Document, problem, problems, response

_LOOK: Final = (
    "What a link of a card asks: a page with one button, in the learner's language. It changes nothing. The link is the "
    "credential; no key is sent."
)
_DO: Final = (
    "Do what the link says, once: its page's form, or a mail program's one click (RFC 8058). A second time changes nothing and "
    "says so."
)
_T: Final = {
    "name": "t",
    "in": "query",
    "required": True,
    "description": "The signed text of the link, as the card has it.",
    "schema": {"type": "string"},
}
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")


def of_actions() -> Document:
    refused = {
        "403": response("No link of this service", problem()),
        "404": response("A link that has expired, or whose decision is gone", problem()),
        **problems("429", "503"),
    }
    html = {"text/html": {"schema": {"type": "string"}}}
    look = {
        "summary": _LOOK,
        "operationId": "nudge_action",
        "parameters": [_T],
        "responses": {"200": response("The page", html), **refused},
    }
    do = {
        "summary": _DO,
        "operationId": "do_nudge_action",
        "parameters": [_T],
        "requestBody": {"required": False, "content": {form: {"schema": {"type": "object"}} for form in _FORMS}},
        "responses": {
            "200": response("What became of it", html),
            "303": {"description": "To the item that is opened"},
            **refused,
            "410": response("The item is no longer offered", problem()),
            **problems("413"),
            "415": response("Not a form", problem()),
        },
    }
    return {"get": look, "post": do}
