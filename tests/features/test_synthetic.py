"""The embedded organisation: its bytes, its promises, its truth, and that every parameter matters."""

import hashlib
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from pydantic import BaseModel
from scipy.stats import spearmanr

from features.catalogue import KINDS, CatalogueRow, canonical_json
from features.events import SKILL_PREFIX, Event, Verb
from features.synthetic import Organisation, synthesize
from features.synthetic.organisation import generate
from features.synthetic.parameters import EMBEDDED, Parameters, load
from features.synthetic.write import write_organisation

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def organisation() -> Organisation:
    return generate(load())


def small() -> dict[str, Any]:
    """The embedded parameters with few learners and items, as plain data."""
    found = load().model_dump()
    found["people"]["learners"] = 90
    found["catalogue"]["items"] = 200
    found["activity"] |= {"takes_mean": 12.0, "takes_max": 30}
    found["recommending"]["slates"] = 120
    found["duties"]["individual"] = 30
    return found


def small_file(folder: Path) -> Path:
    file = folder / "small.toml"
    text = EMBEDDED.read_text(encoding="utf-8").replace("learners = 1500", "learners = 150")
    file.write_text(text.replace("slates = 2600", "slates = 200"), encoding="utf-8")
    return file


def folder_hash(folder: Path) -> str:
    found = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        found.update(file.name.encode() + file.read_bytes())
    return found.hexdigest()


def written_elsewhere(folder: Path, parameters: Path, hash_seed: str, seed: int) -> str:
    """The hash of what another interpreter writes."""
    code = (
        "import sys; from pathlib import Path; from features.synthetic import synthesize; "
        "synthesize(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))"
    )
    command = [sys.executable, "-c", code, str(folder), str(parameters), str(seed)]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": hash_seed}, check=True)
    return folder_hash(folder)


def test_same_seed_same_bytes_in_two_interpreters_and_another_seed_other_bytes(tmp_path: Path) -> None:
    parameters = small_file(tmp_path)
    first = written_elsewhere(tmp_path / "a", parameters, "1", 7)
    assert written_elsewhere(tmp_path / "b", parameters, "2", 7) == first
    synthesize(tmp_path / "c", parameters, 8)
    assert folder_hash(tmp_path / "c") != first


def test_written_lines_read_back_as_the_same_rows(organisation: Organisation, tmp_path: Path) -> None:
    write_organisation(organisation, tmp_path)
    for kind, model in KINDS.items():
        lines = (tmp_path / f"{kind}s.jsonl").read_text(encoding="utf-8").splitlines()
        rows: tuple[CatalogueRow, ...] = getattr(organisation, f"{kind}s")
        assert [canonical_json(model.model_validate_json(line)) for line in lines] == [canonical_json(row) for row in rows]
    lines = (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(organisation.events)
    for line, event in list(zip(lines, organisation.events, strict=True))[::97]:
        assert '"tenant"' not in line
        assert Event.model_validate_json('{"tenant":"demo",' + line[1:]) == event


def test_promised_sizes(organisation: Organisation) -> None:
    assert len(organisation.learners) == 1500
    assert len(organisation.items) == 400
    assert len(organisation.skills) == 70
    assert len({item.title for item in organisation.items}) == 400
    assert len({item.description for item in organisation.items}) == 400
    assert {learner.audiences[0] for learner in organisation.learners} == {"employees", "contractors", "partners", "customers"}
    assert 60_000 <= len(organisation.events) <= 110_000
    assert {event.verb for event in organisation.events} == set(Verb)
    takes = Counter(event.learner_id for event in organisation.events if event.verb == Verb.STARTED)
    assert 15 <= np.mean(list(takes.values())) <= 30
    assert max(takes.values()) > 5 * np.median(list(takes.values()))
    active = {event.learner_id for event in organisation.events}
    assert 0.06 <= 1 - len(active) / 1500 <= 0.11
    started = {event.object_id for event in organisation.events if event.verb == Verb.STARTED}
    assert 1 <= 400 - len(started) <= 20


def test_catalogue_refers_only_to_itself(organisation: Organisation) -> None:
    skills, items = {s.id for s in organisation.skills}, {i.id: i for i in organisation.items}
    learners, roles = {row.id: row for row in organisation.learners}, {r.id for r in organisation.roles}
    for item in organisation.items:
        assert set(item.skills) <= skills
        assert set(item.prerequisites) <= set(items)
        assert len(item.description.split(". ")) >= 2
    for learner in organisation.learners:
        assert learner.role_id in roles
        assert learner.manager_id is None or learners[learner.manager_id].org_unit == learner.org_unit
    for assignment in organisation.assignments:
        assert assignment.item_id in items
        assert (assignment.audience is None) != (assignment.learner_id is None)
    assert any(item.valid_for == "P1Y" for item in organisation.items)
    assert {learner.status for learner in organisation.learners} == {"active", "leave", "ended"}
    assert 0.02 < np.mean([not learner.personalisation for learner in organisation.learners]) < 0.08


def test_every_event_fits_the_catalogue(organisation: Organisation) -> None:
    items, learners = {i.id: i for i in organisation.items}, {row.id: row for row in organisation.learners}
    objects = set(items) | {SKILL_PREFIX + skill.id for skill in organisation.skills}
    start, end = load().period.start, load().period.end
    for event in organisation.events:
        learner = learners[event.learner_id]
        assert event.object_id in objects
        assert start <= event.occurred_at.date() < end
        assert event.recorded_at >= event.occurred_at
        assert event.backfill
        assert learner.spells[0].since <= event.occurred_at < (learner.spells[0].until or event.occurred_at + timedelta(1))
        if event.verb in (Verb.STARTED, Verb.SHOWN, Verb.ENROLLED):
            item = items[event.object_id]
            assert item.available(event.occurred_at)
            assert not item.audiences or learner.audiences[0] in item.audiences
    assert len({event.event_id for event in organisation.events}) == len(organisation.events)
    recorded = [event.recorded_at for event in organisation.events]
    assert recorded == sorted(recorded)


def test_verbs_come_in_believable_order(organisation: Organisation) -> None:
    started: dict[tuple[str, str], Any] = {}
    last_days = organisation.events[-1].recorded_at - timedelta(days=10)
    shown = {(e.decision_id, e.object_id) for e in organisation.events if e.verb == Verb.SHOWN}
    for event in sorted(organisation.events, key=lambda e: e.occurred_at):
        key = (event.learner_id, event.object_id)
        if event.verb == Verb.STARTED:
            started[key] = event.occurred_at
        if event.verb in (Verb.COMPLETED, Verb.PROGRESSED, Verb.PASSED, Verb.FAILED, Verb.RATED, Verb.ANSWERED):
            assert key in started or event.occurred_at > last_days  # a start recorded after the end is not in the log
        if event.decision_id is not None:
            assert (event.decision_id, event.object_id) in shown
        if event.verb in (Verb.APPLIED, Verb.ATTESTED, Verb.ENDORSED, Verb.REVOKED):
            assert event.skill_id is not None
    lag = np.array([(e.recorded_at - e.occurred_at).total_seconds() for e in organisation.events])
    assert 0.04 < np.mean(lag > 3600) < 0.16
    zones = {row.id: ZoneInfo(row.timezone) for row in organisation.learners}
    local = [e.occurred_at.astimezone(zones[e.learner_id]) for e in organisation.events if e.verb == Verb.STARTED]
    assert np.mean([at.weekday() < 5 for at in local]) > 0.9
    assert np.mean([8 <= at.hour < 19 for at in local]) > 0.8
    assert np.mean([6 <= at.hour <= 23 for at in local]) > 0.97


def test_more_appealing_items_are_started_more(organisation: Organisation) -> None:
    starts = Counter(e.object_id for e in organisation.events if e.verb == Verb.STARTED)
    due = {a.item_id for a in organisation.assignments if a.audience}
    open_to_all = [
        i for i in organisation.items if not i.audiences and i.id not in due and _old(organisation, i.available_from)
    ]
    truth = organisation.truth["items"]
    chosen = [i for i in open_to_all if i.difficulty == "beginner" and not truth[i.id]["silent"]]
    found = spearmanr([truth[i.id]["appeal"] for i in chosen], [starts[i.id] for i in chosen]).statistic
    assert 0.4 < found < 0.95


def _old(organisation: Organisation, at: Any) -> bool:
    return at is None or at < organisation.events[0].occurred_at


def test_true_transitions_are_over_represented(organisation: Organisation) -> None:
    pairs, firsts, seconds = Counter[tuple[str, str]](), Counter[str](), Counter[str]()
    for earlier, later in _successions(organisation):
        pairs[earlier, later] += 1
        firsts[earlier] += 1
        seconds[later] += 1
    total = sum(pairs.values())
    true = [(i, j) for i, row in organisation.truth["items"].items() for j in row["next"]]
    expected = sum(firsts[i] * seconds[j] for i, j in true) / total
    assert 4 < sum(pairs[pair] for pair in true) / expected < 20


def _successions(organisation: Organisation) -> Iterator[tuple[str, str]]:
    history: dict[str, list[str]] = defaultdict(list)
    for event in sorted(organisation.events, key=lambda e: e.occurred_at):
        if event.verb == Verb.STARTED:
            history[event.learner_id].append(event.object_id)
    for items in history.values():
        yield from pairwise(items)


def test_learners_start_what_interests_them(organisation: Organisation) -> None:
    truth, family = organisation.truth, {i.id: str(i.attributes["family"]) for i in organisation.items}
    liking = {learner: dict(zip(truth["families"], row["interest"], strict=True)) for learner, row in truth["learners"].items()}
    values = [liking[e.learner_id][family[e.object_id]] for e in organisation.events if e.verb == Verb.STARTED]
    assert 0.25 < np.mean(values) < 1.2  # 0 if choices ignored interest


def test_being_shown_makes_people_start() -> None:
    def clicks(effect: float) -> int:
        plain = small()
        plain["recommending"]["effect"] = dict.fromkeys(plain["people"]["audiences"], effect)
        events = generate(Parameters.model_validate(plain)).events
        return sum(event.verb == Verb.STARTED and event.decision_id is not None for event in events)

    assert clicks(4.0) > 2 * max(clicks(0.5), 1)


def test_oracle_leaves_room_above_popularity(organisation: Organisation) -> None:
    assert 0.25 < organisation.truth["oracle"]["ndcg_at_10"] < 0.40


def fingerprint(plain: dict[str, Any]) -> str:
    organisation = generate(Parameters.model_validate(plain))
    found = hashlib.sha256(repr(organisation.truth).encode())
    tables = (organisation.skills, organisation.items, organisation.roles, organisation.learners, organisation.assignments)
    for row in (row for table in tables for row in table):
        found.update(canonical_json(row).encode())
    for event in organisation.events:
        found.update(event.model_dump_json().encode())
    return found.hexdigest()


SPECIAL: dict[str, Any] = {
    "people.learners": 80,
    "catalogue.items": 150,
    "period.start": date(2025, 8, 25),
    "period.end": date(2026, 10, 1),
    "people.audiences": {"employees": 0.4, "contractors": 0.2, "partners": 0.2, "customers": 0.2},
    "recommending.effect": {"employees": 4.0, "contractors": 4.0, "partners": 4.0, "customers": 4.0},
    "activity.takes_max": 5,
    "activity.session_size": 3.0,
    "activity.quiet_months": (3,),
    "org_unit.0.timezone": "Asia/Tokyo",
    "org_unit.0.language": "it",
    "org_unit.0.audience": "contractors",
    "org_unit.0.roles": ("buyer",),
    "org_unit.0.size": 900.0,
    "role.0.expects": {"sql": 4.0},
    "role.0.id": None,  # named by org units too: flipped in both places
    "catalogue.providers": ("Elsewhere",),
    "choice.taste_dimensions": 3,
}


def leaves(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every parameter by its dotted name; of org units and roles the first stands for all."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from leaves(value, f"{prefix}{name}.")
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            yield from leaves(value[0], f"{prefix}{name}.0.")
        else:
            yield f"{prefix}{name}", value


def flipped(name: str, value: Any) -> Any:
    if name in SPECIAL:
        return SPECIAL[name]
    if isinstance(value, str):
        return value + " renamed"
    if isinstance(value, int):
        return value // 2
    return 0.05 if 0.5 < value <= 1 else 0.9 if 0 <= value <= 0.5 else value + 1


def with_value(name: str, value: Any) -> dict[str, Any]:
    plain = small()
    place: Any = plain
    *path, last = [int(part) if part.isdigit() else part for part in name.split(".")]
    for index, part in enumerate(path):
        if isinstance(place[part], tuple):
            place[part] = list(place[part])
        place = place[part]
        assert index < 3
    place[last] = flipped(name, value)
    if name == "role.0.id":
        _rename_role(plain, str(value), "renamed")
    return plain


def _rename_role(plain: dict[str, Any], old: str, new: str) -> None:
    plain["role"][0]["id"] = new
    for unit in plain["org_unit"]:
        unit["roles"] = [new if role == old else role for role in unit["roles"]]


@pytest.fixture(scope="module")
def unflipped() -> str:
    return fingerprint(small())


@pytest.mark.parametrize(("name", "value"), list(leaves(load())), ids=[name for name, _ in leaves(load())])
def test_every_parameter_changes_something(name: str, value: Any, unflipped: str) -> None:
    assert fingerprint(with_value(name, value)) != unflipped


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("learners = 1500", "learners = 1500\nlerners = 3", "people.lerners"),
        ("learners = 1500", "learners = 0", "people.learners"),
        ("employees = 0.70", "employees = 0.90", "must sum to 1"),
        ('roles = ["partner-consultant"]', 'roles = ["pilot"]', "pilot"),
        ("[period]", "[period", "not TOML"),
        ("items = 400", "items = 4000", "catalogue.items is 4000"),
    ],
)
def test_a_wrong_parameter_file_is_refused_by_name(tmp_path: Path, old: str, new: str, said: str) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(EMBEDDED.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        synthesize(tmp_path / "out", file, 7)


def test_events_are_in_utc_whole_seconds(organisation: Organisation) -> None:
    assert all(e.occurred_at.tzinfo == UTC and e.occurred_at.microsecond == 0 for e in organisation.events[:1000])
