"""Write the reference pages from the code, or check that they are up to date and that every link leads somewhere.

python docs/generate.py            write docs/reference/*.md
python docs/generate.py --check    exit 1 and say what differs
"""

import importlib
import inspect
import re
import runpy
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import typer
from pydantic import BaseModel

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
REFERENCE = ROOT / "docs" / "reference"
ROOMS = ("features", "training", "serving", "experiments")
CONTRACTS = {
    "features.events": ("Event", "Result", "Verb"),
    "features.catalogue": ("Item", "Learner", "Role", "Skill", "Assignment"),
    "features.decisions": ("Decision", "Row", "SlateItem", "Due", "Randomisation"),
    "experiments.design": ("Design", "Variant", "Primary", "Goal", "Guardrail"),
    "experiments.assignment.phases": ("Record", "Phase"),
    "training.bundle": ("Manifest", "Provenance"),
}
_LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(#[^)\s]*)?\)")


def main() -> int:
    """Write, or with --check compare; returns the exit code."""
    pages = {REFERENCE / name: text() for name, text in PAGES.items()}
    if "--check" not in sys.argv:
        REFERENCE.mkdir(parents=True, exist_ok=True)
        for path, text in pages.items():
            path.write_text(text, "utf-8")
        return 0
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text("utf-8") != text]
    for path in stale:
        print(f"{path.relative_to(ROOT)} is out of date: run python docs/generate.py")
    broken = list(broken_links())
    for page, target in broken:
        print(f"{page.relative_to(ROOT)}: link to {target} leads nowhere")
    return 1 if stale or broken else 0


def broken_links() -> Iterator[tuple[Path, str]]:
    """(page, target) of each relative link in README, CHANGELOG and docs that names no file."""
    for page in [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for target, _ in _LINK.findall(page.read_text("utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                yield page, target


def command_line() -> str:
    """Every verb of every room with its arguments, options and defaults."""
    parts = ["# Command line", "", "Generated from the code. Every verb answers `--help`.", ""]
    for room in ROOMS:
        app = importlib.import_module(f"{room}.cli").app
        command = typer.main.get_command(app)
        verbs = command.commands if isinstance(command, click.Group) or hasattr(command, "commands") else {}
        for name, verb in _verbs(verbs):
            parts += [f"## python -m {room} {name}", "", _first_paragraph(verb.help), ""]
            parts += [_parameter(parameter) for parameter in verb.params if parameter.name != "help"] + [""]
    return "\n".join(parts).rstrip() + "\n"


def _verbs(commands: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each verb with its name; those of a group as `keys add`."""
    for name, verb in sorted(commands.items()):
        if hasattr(verb, "commands"):
            yield from ((f"{name} {inner}", command) for inner, command in _verbs(verb.commands))
        else:
            yield name, verb


def _parameter(parameter: Any) -> str:
    option = parameter.param_type_name == "option"
    name = " / ".join([*parameter.opts, *parameter.secondary_opts]) if option else str(parameter.name).upper()
    required = " **required**" if parameter.required else ""
    words = " ".join((getattr(parameter, "help", None) or "").split())
    return f"- `{name}`{required}: {words}{_default(parameter.default)}"


def _default(value: Any) -> str:
    shown = isinstance(value, str | int | float | Path) and not isinstance(value, bool) and str(value)
    return f" (default `{value}`)" if shown else ""


def http() -> str:
    """Every route of the service with its request fields."""
    from serving import service

    document = service.pages.document
    parts = ["# HTTP API", "", "Generated from the service's OpenAPI document, which it also serves at `/openapi.json`.", ""]
    for path, methods in sorted(document["paths"].items()):
        for method, operation in sorted(methods.items()):
            words = operation.get("description") or operation.get("summary") or ""
            parts += [f"## {method.upper()} {path}", "", _first_paragraph(words), ""]
            parts += [*_request_fields(document, operation), *_key(operation), _answers(operation), ""]
    parts += ["# Shapes", "", "Everything that goes in or comes out, by the names used above.", ""]
    for name, schema in sorted(document["components"]["schemas"].items()):
        if "properties" in schema:
            parts += [f"## {name}", "", _first_paragraph(schema.get("description")), "", *_table(schema), ""]
    return "\n".join(parts).rstrip() + "\n"


def _request_fields(document: dict[str, Any], operation: dict[str, Any]) -> list[str]:
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if "parameters" in operation:
        rows = [_field(one["name"], one["schema"], [one["name"]] if one["required"] else []) for one in operation["parameters"]]
        takes = [f"Takes: {_type(schema)}.", ""] if schema else []
        return ["| parameter | type | default |", "|---|---|---|", *rows, "", *takes]
    name = str(schema.get("$ref", "")).rsplit("/", 1)[-1]
    body = document.get("components", {}).get("schemas", {}).get(name, schema)
    if "properties" not in body:
        return [f"Takes: {_type(schema)}.", ""] if schema else []
    return [*_table(body), ""]


def _table(schema: dict[str, Any]) -> list[str]:
    rows = [_field(field, spec, schema.get("required", ())) for field, spec in schema["properties"].items()]
    return ["| field | type | default |", "|---|---|---|", *rows]


def _key(operation: dict[str, Any]) -> list[str]:
    """The scope that a key or a token needs; nothing where none is needed."""
    scopes = {kind: needed[0] for way in operation.get("security", ()) for kind, needed in way.items()}
    token = f", or a learner token for `{scopes['token']}`" if "token" in scopes else ""
    return [f"Needs a key with the scope `{scopes['key']}`{token}.", ""] if scopes else []


def _answers(operation: dict[str, Any]) -> str:
    answers = sorted(operation.get("responses", {}).items())
    return "Answers: " + "; ".join(f"{status} {body.get('description', '')}".strip() for status, body in answers) + "."


def contracts() -> str:
    """The types that all rooms share, field by field."""
    parts = ["# Contracts", "", "Generated from the code: the shapes that files, API and logs share.", ""]
    for module_name, names in CONTRACTS.items():
        module = importlib.import_module(module_name)
        for name in names:
            parts += _contract(module, name)
    return "\n".join(parts).rstrip() + "\n"


def _contract(module: ModuleType, name: str) -> list[str]:
    kind = getattr(module, name)
    head = [f"## {module.__name__}.{name}", "", inspect.cleandoc(kind.__doc__ or ""), ""]
    if name == "Verb":
        rows = [f"| {verb.value} | {verb.iri} | {verb.evidence.name.lower()} |" for verb in kind]
        return [*head, "| verb | xAPI IRI | evidence |", "|---|---|---|", *rows, ""]
    return [*head, "| field | type | default |", "|---|---|---|", *_fields(kind), ""]


def _fields(model: type[BaseModel]) -> Iterator[str]:
    schema = model.model_json_schema()
    for name, body in schema["properties"].items():
        yield _field(name, body, schema.get("required", ()))


def _field(name: str, body: dict[str, Any], required: Sequence[str]) -> str:
    default = "required" if name in required else f"`{body.get('default')}`" if "default" in body else "empty"
    return f"| {name} | {_type(body)} | {default} |"


def _type(body: dict[str, Any]) -> str:
    if "$ref" in body:
        return str(body["$ref"]).rsplit("/", 1)[-1]
    options = body.get("anyOf") or body.get("oneOf")
    if options:
        return " or ".join(dict.fromkeys(_type(option) for option in options))
    if "enum" in body or "const" in body:
        return ", ".join(str(value) for value in body.get("enum", [body.get("const")]))
    if body.get("type") == "array":
        return f"list of {_type(body.get('items') or {'type': 'any'})}"
    if body.get("type") == "object" and isinstance(body.get("additionalProperties"), dict):
        return f"map of {_type(body['additionalProperties'])}"
    return str(body.get("format") or body.get("type") or "any") + _range(body)


def _range(body: dict[str, Any]) -> str:
    """The limits of a number, as `, 1 to 100`."""
    low = body.get("minimum", body.get("exclusiveMinimum"))
    high = body.get("maximum", body.get("exclusiveMaximum"))
    if low is None and high is None:
        return ""
    return f", {low} to {high}" if None not in (low, high) else f", from {low}" if high is None else f", up to {high}"


def _first_paragraph(text: str | None) -> str:
    return " ".join(inspect.cleandoc(text or "").split("\n\n")[0].split())


def model_card() -> str:
    """A model card as a fit writes it, of a small simulated organisation."""
    page: str = runpy.run_path(str(ROOT / "docs" / "example_card.py"))["page"]()
    return page


def star() -> str:
    """The tables of the star schema."""
    from features.star import texts

    return texts.page()


def metrics() -> str:
    """The metrics that an experiment may be read by."""
    from experiments.metrics.catalogue import METRICS

    parts = ["# Metrics", "", "Generated from the code: what an experiment that ran here may be read by.", ""]
    for one in METRICS.values():
        whose = "the decision" if one.belongs == "decision" else "the learner (intention to treat)"
        known = "when the window is over" if one.whole_window else "at any time; nothing found is 0"
        rows = {
            "counted": one.numerator,
            "per": one.denominator,
            "window": f"{one.window_days} days from the first exposure",
            "unit": one.unit,
            "good is": "more" if one.direction == "up" else "less",
            "an outcome belongs to": whose,
            "a learner is known": known,
            "a host sends": one.needs,
        }
        table = [f"| {name} | {said} |" for name, said in rows.items()]
        parts += [f"## {one.name}", "", one.words, "", "| | |", "|---|---|", *table, ""]
    return "\n".join(parts).rstrip() + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "command-line.md": command_line,
    "contracts.md": contracts,
    "http.md": http,
    "metrics.md": metrics,
    "model-card.md": model_card,
    "star.md": star,
}

if __name__ == "__main__":
    sys.exit(main())
