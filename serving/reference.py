"""The API reference as one page of HTML, made from the OpenAPI document. Needs no network and no script."""

from collections.abc import Iterator
from html import escape
from typing import Any, Final

Document = dict[str, Any]

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c1c1c;background:#fff}
h2{margin-top:3rem;border-bottom:1px solid #ccc}code,pre{font:14px ui-monospace,monospace;background:#f4f4f4}
pre{padding:.8rem;overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #e4e4e4}
"""
_EXAMPLES: Final = {
    "/v1/recommendations": '{"learner_id": "LEARNER_ID", "limit": 5, "max_minutes": 15}',
    "/v1/rank": '{"learner_id": "LEARNER_ID", "candidates": ["ITEM_ID", "OTHER_ITEM_ID"]}',
    "/v1/explain": '{"learner_id": "LEARNER_ID", "decision_id": "DECISION_ID", "items": ["ITEM_ID", "OTHER_ITEM_ID"]}',
    "/v1/events": '{"event_id": "EVENT_ID", "learner_id": "LEARNER_ID",\n  "verb": "completed", "object_id": "ITEM_ID", '
    '"occurred_at": "2026-01-31T09:00:00Z"}',
}

_QUERIES: Final = {
    "/v1/decisions/{decision_id}": "/v1/decisions/DECISION_ID",
    "/v1/learners/{learner_id}/skills": "/v1/learners/LEARNER_ID/skills?skill=SKILL_ID&at=2026-01-31T09:00:00Z",
    "/v1/learners/{learner_id}/gaps": "/v1/learners/LEARNER_ID/gaps?limit=3",
}


def page(document: Document) -> str:
    """The whole document: every route, every field with its type and limits, every answer."""
    info, schemas = document["info"], document["components"]["schemas"]
    routes = "".join(
        _route(path, method, operation, at == 0)
        for path, methods in document["paths"].items()
        for at, (method, operation) in enumerate(methods.items())
    )
    models = "".join(_model(name, schema) for name, schema in sorted(schemas.items()))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])} API</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><main>'
        f"<h1>{escape(info['title'])} API</h1><p>{_marked(info['description'])}</p>{_contents(document)}{routes}"
        f"<h2>Objects</h2>{models}</main></body></html>"
    )


def _contents(document: Document) -> str:
    links = (f'<li><a href="#{_anchor(path)}"><code>{escape(path)}</code></a></li>' for path in document["paths"])
    return f"<nav><ul>{''.join(links)}</ul></nav>"


def _route(path: str, method: str, operation: Document, first: bool) -> str:
    anchor = f' id="{_anchor(path)}"' if first else ""  # one path, one place to go to
    parts = [f"<h2{anchor}>{method.upper()} <code>{escape(path)}</code></h2>"]
    parts.append(f"<p>{_marked(operation['summary'])}</p>")
    scopes = {kind: needed[0] for way in operation.get("security", ()) for kind, needed in way.items()}
    token = f", or a learner token for <code>{escape(scopes['token'])}</code>" if "token" in scopes else ""
    parts += [f"<p>Needs a key with the scope <code>{escape(scopes['key'])}</code>{token}.</p>"] if scopes else []
    if path in _EXAMPLES:
        heads = "-H 'Authorization: Bearer KEY' -H 'Content-Type: application/json'"
        call = f"curl URL{path} \\\n  {heads} \\\n  -d '{_EXAMPLES[path]}'"
        parts.append(f"<pre>{escape(call)}</pre>")
    if path in _QUERIES:
        call = f"curl 'URL{_QUERIES[path]}' \\\n  -H 'Authorization: Bearer KEY'"
        parts.append(f"<pre>{escape(call)}</pre>")
    parts += [_parameters(operation["parameters"])] if "parameters" in operation else []
    if "requestBody" in operation:
        media, content = next(iter(operation["requestBody"]["content"].items()))
        parts.append(f"<p>Body: {'a form' if 'form' in media else _type(content['schema'])}</p>")
    parts.append("<table><tr><th>Status<th>Meaning<th>Body</tr>")
    parts += [_answer(status, answer) for status, answer in sorted(operation["responses"].items())]
    return "".join([*parts, "</table>"])


def _parameters(parameters: list[Document]) -> str:
    rows = "".join(
        _field(
            one["name"],
            {**one["schema"], "description": one.get("description", "")},
            [one["name"]] if one["required"] else (),
        )
        for one in parameters
    )
    return f"<table><tr><th>Parameter<th>Type<th>About</tr>{rows}</table>"


def _answer(status: str, answer: Document) -> str:
    said = [f"{escape(media)}: {_type(content['schema'])}" for media, content in answer.get("content", {}).items()]
    return f"<tr><td>{status}<td>{_marked(answer['description'])}<td>{'; '.join(said) or 'empty'}</tr>"


def _model(name: str, schema: Document) -> str:
    head = f'<h3 id="{escape(name)}">{escape(name)}</h3><p>{_marked(schema.get("description", ""))}</p>'
    if "properties" not in schema:
        return f"{head}<p>{_type(schema)}</p>"
    rows = "".join(_field(field, spec, schema.get("required", ())) for field, spec in schema["properties"].items())
    return f"{head}<table><tr><th>Field<th>Type<th>About</tr>{rows}</table>"


def _field(name: str, spec: Document, required: Any) -> str:
    about = [spec.get("description", ""), "required" if name in required else "", *_limits(spec)]
    if "default" in spec:
        about.append(f"default {spec['default']!r}")
    return f"<tr><td><code>{escape(name)}</code><td>{_type(spec)}<td>{_marked('; '.join(filter(None, about)))}</tr>"


def _limits(spec: Document) -> Iterator[str]:
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "more than",
        "maximum": "at most",
        "maxItems": "at most this many:",
        "maxLength": "longest",
        "pattern": "matches",
    }
    for one in (spec, *spec.get("anyOf", ())):
        yield from (f"{word} {one[key]}" for key, word in words.items() if key in one)


def _type(schema: Document) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    for choice in ("oneOf", "anyOf"):
        if choice in schema:
            return " or ".join(_type(one) for one in schema[choice])
    if "enum" in schema:
        return escape(" | ".join(map(str, schema["enum"])))
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}" if "items" in schema else "list"
    return escape(str(schema.get("format") or schema.get("type") or "any value"))


def _anchor(path: str) -> str:
    return escape(path.strip("/").replace("/", "-"))


def _marked(text: str) -> str:
    """Escaped text, `code` between backticks set as code."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if at % 2 else piece for at, piece in enumerate(pieces))
