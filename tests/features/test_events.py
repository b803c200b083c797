"""What an event may say: times that a learning log can have, and text that is text."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from features.catalogue import Item
from features.events import EARLIEST, Event, row_event_id


def event(**fields: Any) -> Event:
    body = {"tenant": "acme", "event_id": "e", "learner_id": "ann", "verb": "started", "object_id": "excel"}
    at = "2026-03-01T12:00:00Z"
    return Event.model_validate({**body, "occurred_at": at, "recorded_at": at, **fields})


@pytest.mark.parametrize("field", ["occurred_at", "recorded_at"])
@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:00-14:00"])
def test_a_time_beyond_the_calendar_is_an_error_in_words(field: str, at: str) -> None:
    with pytest.raises(ValidationError, match="lies outside the years 1 to 9999"):
        event(**{field: at})


def test_the_last_instant_has_no_future_to_be_compared_with() -> None:
    assert event(occurred_at="9999-12-31T23:59:59Z", recorded_at="9999-12-31T23:59:59Z").known_at.year == 9999
    with pytest.raises(ValidationError, match="is in the future"):
        event(occurred_at="9999-12-31T23:59:59Z")


@pytest.mark.parametrize("field", ["occurred_at", "recorded_at"])
def test_no_learning_log_is_older_than_1901(field: str) -> None:
    assert event(occurred_at=EARLIEST, recorded_at=EARLIEST).occurred_at == datetime(1901, 1, 1, tzinfo=UTC)
    with pytest.raises(ValidationError, match="is before 1901: no learning log is that old") as refused:
        event(**{"occurred_at": EARLIEST, field: "1901-01-01T00:59:59+01:00"})
    assert [error["loc"] for error in refused.value.errors()] == [(field,)]


@pytest.mark.parametrize("at", ["1970-01-01T00:00:00Z", "1970-01-01T00:00:00+14:00", "1970-01-20T15:06:40Z"])
def test_what_an_unset_field_or_a_wrong_unit_gives_is_no_time(at: str) -> None:
    with pytest.raises(ValidationError, match="is what an unset field or a wrong unit gives"):
        event(occurred_at=at)
    assert event(occurred_at="1970-02-01T00:00:00Z").occurred_at.year == 1970


def test_a_catalogue_may_speak_of_older_times() -> None:
    assert Item(id="a", title="A", available_from=datetime(1885, 1, 1, tzinfo=UTC)).available(EARLIEST)


@pytest.mark.parametrize("context", [{"a": "\ud800"}, {"\udfff": 1}, {"a": [{"b": {"\ud800": 1}}]}])
def test_half_a_character_is_no_text(context: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="lone surrogate"):
        event(context=context)
    assert event(context={"a": "\U0001f600"}).context == {"a": "\U0001f600"}


def test_row_ids_are_stable_and_defined_for_any_text() -> None:
    assert row_event_id(("ann", "ü"), 0) == "d6a6091a-9139-578b-b391-17e35b863744"
    assert row_event_id(("\ud800",), 0) != row_event_id(("\ud801",), 0)
