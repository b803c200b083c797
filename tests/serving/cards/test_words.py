"""Every language says the same things, in its own form."""

from datetime import UTC, date, datetime
from string import Formatter
from zoneinfo import ZoneInfo

import pytest

from features.nudges import Arm
from serving.cards.links import Action
from serving.cards.words import LANGUAGES, MAX_NAME, Words, language_of, table

MOMENT = datetime(2027, 10, 31, 23, 30, tzinfo=UTC)


def names(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name is not None}


def sentences(language: str) -> dict[str, set[str]]:
    """What stands where in each sentence."""
    return {
        f"{part}.{name}": names(said)
        for part, each in table(language).items()
        for name, said in each.items()
        if isinstance(said, str)
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_sentence_with_the_same_placeholders(language: str) -> None:
    assert sentences(language) == sentences("en")
    assert (len(table(language)["form"]["weekdays"]), len(table(language)["form"]["months"])) == (7, 12)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_is_empty_or_left_in_another_language(language: str) -> None:
    for part, each in table(language).items():
        for name, said in each.items():
            assert said, (part, name)
            if part != "form":
                others = [other for other in LANGUAGES if other != language and table(other)[part][name] == said]
                assert not others, (part, name)


def test_there_is_a_headline_for_each_arm_and_all_words_of_each_action() -> None:
    assert set(table("en")["headline"]) == {*Arm} - {Arm.NOTHING}
    for part in ("button", "ask", "done"):
        assert set(table("en")[part]) == set(Action)


@pytest.mark.parametrize("language", LANGUAGES)
def test_labels_fit_on_a_button(language: str) -> None:
    assert all(len(label) <= 30 for label in table(language)["button"].values())


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", "Due Monday 1 November 2027, 00:30."),
        ("de", "Fällig: Montag, 1. November 2027, 00:30 Uhr."),
        ("fr", "Échéance : lundi 1er novembre 2027 à 00 h 30."),
        ("es", "Fecha límite: lunes, 1 de noviembre de 2027, 00:30 h."),
    ],
)
def test_a_moment_is_told_in_the_form_of_the_language_and_the_zone_of_the_learner(language: str, told: str) -> None:
    said = Words(language, ZoneInfo("Europe/Berlin")).say("why", "due", date=MOMENT)
    assert said.replace("\u00a0", " ") == told


def test_a_day_is_told_without_a_time() -> None:
    assert Words("de").say("why", "due", date=date(2027, 2, 28)) == "Fällig: Sonntag, 28. Februar 2027."


@pytest.mark.parametrize(("language", "told"), [("en", "2.5"), ("de", "2,5"), ("fr", "2,5"), ("es", "2,5")])
def test_a_number_has_the_decimal_sign_of_the_language(language: str, told: str) -> None:
    assert told in Words(language).say("line", "minutes", minutes=2.5)


def test_what_a_title_holds_is_no_placeholder() -> None:
    assert Words("en").say("line", "suggested", title="{minutes} {0}") == "Suggested: {minutes} {0}"


def test_a_long_title_is_shortened_within_a_sentence() -> None:
    said = Words("en").say("line", "suggested", title="word " * 100)
    assert said.endswith("word…")
    assert len(said) <= len("Suggested: ") + MAX_NAME


@pytest.mark.parametrize(
    ("wanted", "found"),
    [((), "en"), (("fr", "en"), "fr"), (("pt-BR", "de-AT"), "de"), (("pt", "zh"), "en"), (("ES",), "es"), (("",), "en")],
)
def test_the_first_language_that_there_are_words_for_is_spoken(wanted: tuple[str, ...], found: str) -> None:
    assert language_of(wanted) == found
