"""The MARS reader: what a row becomes, on four tiny files."""

import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from features.catalogue import Item, ItemType, Learner, Role, Skill
from features.cli import app
from features.events import Event, Result, Verb
from features.interactions import Interactions
from features.readers import mars, read
from features.readers.base import Reading, Refusal
from features.store import EventStore

NOW = datetime(2026, 3, 1, tzinfo=UTC)
REAL = Path(os.environ.get("NEXTWISE_DATA", Path(__file__).parents[3] / "../shared/data")) / "mars"
ITEM = "10,en,Pivot tables,5.0,Sort and sum,2018,Beginner,['Finance'],['Excel'],['Produce'],81.0,tutorial"


def write(folder: Path, **files: str) -> Path:
    given = {
        "items_en": "item_id,language,name,nb_views,description,created_at,Difficulty,Job,Software,Theme,duration,type\n"
        + ITEM,
        "users_en": "user_id,job\n1,accounting\n2,N/A\n3,accounting",
        "implicit_ratings_en": "item_id,user_id,created_at\n10,1,2018-01-15 12:00:00\n10,1,2018-01-15 12:00:00",
        "explicit_ratings_en": "user_id,item_id,watch_percentage,created_at,rating\n1,10,40,2018-07-15 12:00:00,4",
    }
    for name, text in {**given, **files}.items():
        (folder / f"{name}.csv").write_text(text + "\n", encoding="utf-8")
    return folder


def reading(folder: Path, timezone: str | None = "Europe/Paris") -> Reading:
    return read("mars", folder, tenant="acme", timezone=timezone, now=NOW)


def rows(found: Any) -> list[Any]:
    return [row if isinstance(row, Refusal) else row.row for row in found]


def test_items_bring_derived_skills_and_users_their_roles(tmp_path: Path) -> None:
    assert rows(reading(write(tmp_path)).catalogue) == [
        Skill(id="software:excel", name="Excel"),
        Item(
            id="10",
            title="Pivot tables",
            description="Sort and sum",
            type=ItemType.VIDEO,
            duration_s=81,
            difficulty="beginner",
            languages=("en",),
            skills={"software:excel": 1.5},
            position=0,
            attributes={"software": ("Excel",), "theme": ("Produce",), "job": ("Finance",)},
        ),
        Role(id="job:accounting", name="accounting"),
        Learner(id="1", role_id="job:accounting"),
        Learner(id="2"),
        Learner(id="3", role_id="job:accounting"),
    ]


def test_views_and_watched_shares_become_events(tmp_path: Path) -> None:
    explicit = (
        "user_id,item_id,watch_percentage,created_at,rating\n1,10,40,2018-07-15 12:00:00,4\n2,10,100,2018-07-15 12:00:00,9"
    )
    found: list[Event] = rows(reading(write(tmp_path, explicit_ratings_en=explicit)).events)
    assert [(e.learner_id, e.verb, e.result) for e in found] == [
        ("1", Verb.STARTED, None),
        ("1", Verb.STARTED, None),
        ("1", Verb.PROGRESSED, Result(progress=0.4)),
        ("2", Verb.COMPLETED, Result(progress=1, completion=True)),
    ]
    assert [e.occurred_at.hour for e in found] == [11, 11, 10, 10]  # Paris is one hour ahead in winter, two in summer
    assert all(e.backfill and e.known_at == e.occurred_at for e in found)


def test_identical_rows_are_different_events_and_ids_do_not_depend_on_now(tmp_path: Path) -> None:
    write(tmp_path)
    first = [e.event_id for e in rows(reading(tmp_path).events)]
    later = read("mars", tmp_path, tenant="acme", timezone="Europe/Paris", now=datetime(2027, 1, 1, tzinfo=UTC))
    assert len(set(first)) == 3
    assert [e.event_id for e in rows(later.events)] == first


def test_times_that_exist_twice_or_never_are_counted(tmp_path: Path) -> None:
    doubtful = "item_id,user_id,created_at\n10,1,2018-03-25 02:30:00\n10,1,2018-10-28 02:30:00\n10,1,2018-10-28 12:00:00"
    found = reading(write(tmp_path, implicit_ratings_en=doubtful))
    hours = [(e.occurred_at.month, e.occurred_at.hour) for e in rows(found.events)][:3]
    assert hours == [(3, 1), (10, 0), (10, 11)]
    assert any(note.startswith("2 local times exist twice or never in Europe/Paris") for note in found.notes)


BAD = {
    "watch_percentage": ("explicit_ratings_en", "user_id,item_id,watch_percentage,created_at,rating\n1,10,101,2018-07-15,4"),
    "created_at": ("implicit_ratings_en", "item_id,user_id,created_at\n10,1,yesterday"),
    "user_id": ("implicit_ratings_en", "item_id,user_id,created_at\n10,,2018-01-15 12:00:00"),
}


@pytest.mark.parametrize("column", BAD)
def test_a_bad_cell_is_refused_by_the_name_of_its_column(tmp_path: Path, column: str) -> None:
    name, text = BAD[column]
    refusals = [row for row in rows(reading(write(tmp_path, **{name: text})).events) if isinstance(row, Refusal)]
    assert [(r.file, r.line, r.field) for r in refusals] == [(f"{name}.csv", 2, column)]


@pytest.mark.parametrize(
    ("good", "bad", "field"),
    [
        ("Beginner", "Wizard", "Difficulty"),
        ("tutorial", "podcast", "type"),
        ("81.0", "long", "duration"),
        ("Pivot tables", "", "name"),
    ],
)
def test_a_bad_item_is_refused_by_the_name_of_its_column(tmp_path: Path, good: str, bad: str, field: str) -> None:
    header = "item_id,language,name,nb_views,description,created_at,Difficulty,Job,Software,Theme,duration,type\n"
    write(tmp_path, items_en=header + ITEM.replace(good, bad))
    refusals = [row for row in rows(reading(tmp_path).catalogue) if isinstance(row, Refusal)]
    assert [(r.file, r.line, r.field) for r in refusals] == [("items_en.csv", 2, field)]


def test_tags_are_read_as_data_and_never_run(tmp_path: Path) -> None:
    header = "item_id,language,name,nb_views,description,created_at,Difficulty,Job,Software,Theme,duration,type\n"
    harm = f"__import__('pathlib').Path('{tmp_path}/harm').touch()"
    write(tmp_path, items_en=header + ITEM.replace("['Excel']", harm))
    (refusal,) = [row for row in rows(reading(tmp_path).catalogue) if isinstance(row, Refusal)]
    assert "a list like ['Excel'] is expected" in refusal.reason
    assert not (tmp_path / "harm").exists()


def test_histories_hold_all_items_and_keep_file_order_at_equal_times(tmp_path: Path) -> None:
    header = "item_id,language,name,nb_views,description,created_at,Difficulty,Job,Software,Theme,duration,type\n"
    items = header + "\n".join(ITEM.replace("10,", f"{n},", 1) for n in (30, 10, 20))
    views = [("30", "2018-01-02 00:00:00"), ("20", "2018-01-02 00:00:00"), ("10", "2018-01-01 00:00:00")]
    implicit = "item_id,user_id,created_at\n" + "\n".join(f"{item},1,{at}" for item, at in views)
    write(tmp_path, items_en=items, implicit_ratings_en=implicit)
    learners, vocabulary, histories, by_id = mars.read_histories(tmp_path)
    assert (learners.ids, vocabulary.ids, set(by_id)) == (("1",), ("10", "20", "30"), {"10", "20", "30"})
    assert [vocabulary.ids[i] for i in histories[0]] == ["10", "30", "20"]
    assert histories.at[0] == np.datetime64("2018-01-01", "us")


def test_an_item_listed_twice_has_one_place_and_is_as_the_last_row_says(tmp_path: Path) -> None:
    header = "item_id,language,name,nb_views,description,created_at,Difficulty,Job,Software,Theme,duration,type\n"
    items = header + ITEM + "\n" + ITEM.replace("Pivot tables", "Pivot tables again")
    write(tmp_path, items_en=items, implicit_ratings_en="item_id,user_id,created_at\n10,1,2018-01-01 00:00:00")
    _, vocabulary, histories, by_id = mars.read_histories(tmp_path)
    assert (vocabulary.ids, histories.n_items) == (("10",), 1)
    assert by_id["10"].title.endswith("again")


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not REAL.is_dir(), reason="the MARS files are not here (NEXTWISE_DATA)")
def test_the_real_log_is_read_to_the_last_row_and_only_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/events.db"
    command = ["ingest", "--tenant", "mandarine", "--format", "mars", "--timezone", "Europe/Paris", "--store", url, str(REAL)]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    assert "25,567 rows = 25,567 accepted + 0 duplicate + 0 refused" in first.output
    assert "25,567 rows = 0 accepted + 25,567 duplicate + 0 refused" in CliRunner().invoke(app, command).output
    store = EventStore.open(url)
    counts = store.tenant("mandarine").counts()
    store.close()
    assert Counter(counts.verbs) == Counter(started=21_908, completed=2_513, progressed=3_659 - 2_513)
    assert (counts.catalogue["item"], counts.catalogue["learner"]) == (1_167, 9_902)
    assert (counts.learners_with_events, counts.unknown_learners, counts.unknown_objects) == (3_007, 0, 0)


@pytest.mark.data
@pytest.mark.skipif(not REAL.is_dir(), reason="the MARS files are not here (NEXTWISE_DATA)")
def test_the_real_histories_are_those_the_published_tables_speak_of() -> None:
    learners, items, histories, _ = mars.read_histories(REAL)
    distinct = Interactions.of_histories(histories)
    assert (len(learners), len(items), len(histories.items)) == (3_007, 1_167, 21_908)
    assert int((distinct.item_counts() > 0).sum()) == 957
    assert int((distinct.lengths >= 2).sum()) == 1_895
