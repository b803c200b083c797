"""How lines of the log are written: as text or as JSON, one line each, and nothing in them that speaks of a person.

Errors are told by their class and place, never by their words: a database or a validator writes values into these.
"""

import json
import logging
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

FIELDS: Final = "fields"
"""The attribute of a record that holds what is told beside its message."""
_HERE: Final = str(Path(__file__).parents[1]) + "/"


def said(error: BaseException) -> str:
    """The first line of an error's words, or its name without any. Databases write values into the other lines."""
    return str(error).partition("\n")[0] or type(error).__name__


def set_up(form: Literal["text", "json"]) -> None:
    """Write what this process logs in this form, where BentoML writes it: on standard output."""
    logging.getLogger("nextwise").setLevel(logging.INFO)
    for handler in logging.getLogger().handlers:
        if type(handler) is logging.StreamHandler:  # uvicorn and BentoML write through the same one
            handler.setFormatter(Lines(form))


class Lines(logging.Formatter):
    """A record as one line; `text` adds the places of an error below it."""

    def __init__(self, form: Literal["text", "json"]) -> None:
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        """The line, without a line feed at its end."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage().strip().partition("\n")[0],
            **getattr(record, FIELDS, {}),
        }
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            told |= {"error": _names(error), "at": _places(error)}
        return json.dumps(told, ensure_ascii=False, default=str) if self._form == "json" else _text(told)


def _text(told: dict[str, Any]) -> str:
    time, level, logger, message = (told.pop(name) for name in ("time", "level", "logger", "message"))
    places = told.pop("at", ())
    more = "".join(f" {name}={value}" for name, value in told.items())
    return "\n    ".join([f"{time} {level} {logger}: {message}{more}", *places])


def _names(error: BaseException) -> str:
    """The class of an error, and of what it came from."""
    names: list[str] = []
    found: BaseException | None = error
    while found is not None and len(names) < 5:
        names.append(f"{type(found).__module__}.{type(found).__qualname__}".removeprefix("builtins."))
        found = found.__cause__ or found.__context__
    return " from ".join(names)


def _places(error: BaseException) -> list[str]:
    """Where it was raised, the caller first."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename.removeprefix(_HERE)}:{frame.lineno} {frame.name}" for frame in frames]
