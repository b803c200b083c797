"""Proposed skills: which, how sure, at what level, and the way from the lake to a person and back."""

import csv
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from features.catalogue import Catalogue, Item, Skill
from features.cli import app
from features.lake import materialize
from features.proposals import Proposal, from_json, proposals_file, read_proposals, to_json, usable, write_proposals
from features.propose import DEFAULT, LEVELS, Candidates, bare_text, levels_by_difficulty, logistic, propose, sigmoid
from features.propose_cli import accepted
from features.store import EventStore

SKILLS = {name: Skill(id=name, name=name) for name in ("baking", "sewing", "welding")}


def encode(texts: Sequence[str]) -> NDArray[np.float32]:
    """A direction for each skill's name, one for the rest: a text points to what it names."""
    words = [*SKILLS, "and"]
    rows = np.array([[word in text for word in words] for text in texts], dtype=np.float32) + 0.05
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def catalogue(*items: Item) -> Catalogue:
    return Catalogue({item.id: item for item in items}, SKILLS, {})


BREAD = Item(id="bread", title="baking bread")
COAT = Item(id="coat", title="a coat", description="sewing and welding", difficulty="advanced")
CHAT = Item(id="chat", title="hello")


def test_an_item_is_proposed_what_its_text_is_close_to_and_nothing_where_it_is_close_to_none() -> None:
    found = propose(catalogue(BREAD, COAT, CHAT), encode)
    assert {item: list(own) for item, own in found.proposals.items()} == {"bread": ["baking"]}
    assert (found.weights, found.fitted_to) == (DEFAULT, 0)
    unsure = propose(catalogue(BREAD, COAT, CHAT), encode, floor=0.2)
    assert list(unsure.proposals["coat"]) == ["sewing", "welding"]  # two are equally close: each half as likely
    assert list(propose(catalogue(COAT), encode, floor=0.2, at_most=1).proposals["coat"]) == ["sewing"]


def test_confidence_by_hand() -> None:
    signs = Candidates.of(np.array([[0.2, 0.7, 0.4]]))
    assert signs.skill.tolist() == [[1, 2, 0]]
    assert signs.signs[0, :, 1].tolist() == [0.7, 0.4, 0.2]
    assert signs.signs[0, :, 2] == pytest.approx([0.3, -0.3, -0.5])  # ahead of the next, behind the best
    expected = 1 / (1 + np.exp(-(DEFAULT[0] + 0.7 * DEFAULT[1] + 0.3 * DEFAULT[2])))
    assert signs.confidence(np.array(DEFAULT))[0, 0] == pytest.approx(expected)


def test_weights_follow_what_the_tenant_gave() -> None:
    rng = np.random.default_rng(3)
    truth = np.array([-1.0, 6.0, 8.0])
    signs = np.column_stack([np.ones(20_000), rng.uniform(0, 1, 20_000), rng.uniform(-0.5, 0.5, 20_000)])
    right = (rng.random(20_000) < sigmoid(signs @ truth)).astype(float)
    assert logistic(signs, right) == pytest.approx(truth, abs=0.3)
    assert logistic(signs[:0], right[:0]).tolist() == list(DEFAULT)


def test_a_given_skill_that_the_text_does_not_speak_of_makes_it_less_sure() -> None:
    wrong = [Item(id=f"w{n}", title="baking", skills={"welding": 2}) for n in range(30)]
    before = propose(catalogue(BREAD), encode, floor=0.01).proposals["bread"]["baking"].confidence
    after = propose(catalogue(BREAD, *wrong), encode, floor=0.01)
    assert after.fitted_to == 30
    assert after.proposals["bread"]["baking"].confidence < before
    assert set(after.proposals) == {"bread"}  # what has skills is proposed none


def test_the_text_that_is_read_says_nothing_of_given_skills() -> None:
    assert "welding" not in bare_text(Item(id="x", title="A thing", skills={"welding": 3}))


def test_levels_are_those_the_tenant_gives_to_items_of_a_difficulty() -> None:
    taught = [Item(id=f"{n}", title="x", difficulty="advanced", skills={"baking": level}) for n, level in enumerate((3, 5, 4))]
    assert levels_by_difficulty(taught) == {**LEVELS, "advanced": 4.0}


def test_without_items_or_skills_nothing_is_proposed() -> None:
    assert propose(Catalogue({}, SKILLS, {}), encode).proposals == {}
    assert propose(Catalogue({"bread": BREAD}, {}, {}), encode).proposals == {}
    one = Catalogue({"bread": BREAD}, {"baking": SKILLS["baking"]}, {})
    assert list(propose(one, encode, floor=0.01).proposals["bread"]) == ["baking"]


def test_what_is_stored_is_read_again_and_only_what_is_still_usable(tmp_path: Path) -> None:
    proposals = {"bread": {"baking": Proposal(level=2, confidence=0.9), "gone": Proposal(level=1, confidence=0.6)}}
    write_proposals(tmp_path, "acme", proposals)
    assert read_proposals(tmp_path, "acme", catalogue(BREAD)) == {"bread": {"baking": Proposal(level=2, confidence=0.9)}}
    assert read_proposals(tmp_path, "other", catalogue(BREAD)) == {}
    assert usable(proposals, catalogue(BREAD.model_copy(update={"skills": {"sewing": 1.0}}))) == {}
    assert from_json(to_json(proposals)) == proposals


@pytest.mark.parametrize(
    "text", ["", "[]", '{"a": 1}', '{"a": {"b": {"level": 9, "confidence": 1}}}', '{"a": {"b": {"level": 1, "confidence": 0}}}']
)
def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path, text: str) -> None:
    write_proposals(tmp_path, "acme", {})
    proposals_file(tmp_path, "acme").write_text(text)
    with pytest.raises(ValueError, match=r"proposals\.json is not readable .* run `python -m features propose --tenant acme`"):
        read_proposals(tmp_path, "acme", catalogue(BREAD))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("item,skill\n", "rev.csv:1: no column level"),
        ("item,skill,level\nnone,baking,2\n", "rev.csv:2: field item: 'none' is not in the catalogue"),
        ("item,skill,level\nbread,none,2\n", "rev.csv:2: field skill"),
        ("item,skill,level\nbread,baking,2\nbread,sewing,6\n", "rev.csv:3: field level: '6'"),
        ("item,skill,level\nbread,baking,nan\n", "rev.csv:2: field level: 'nan'"),
        ("item,skill,level\nbread,baking\n", "rev.csv:2: field level: None"),
        ("", "rev.csv:1: no column item, level, skill"),
    ],
)
def test_a_reviewed_file_that_is_wrong_changes_nothing(tmp_path: Path, lines: str, said: str) -> None:
    (tmp_path / "rev.csv").write_text(lines)
    with pytest.raises(ValueError, match=said.replace(".", r"\.")):
        accepted(tmp_path / "rev.csv", catalogue(BREAD))


def test_a_reviewed_file_adds_skills_to_its_items(tmp_path: Path) -> None:
    (tmp_path / "rev.csv").write_text("\ufeffitem,title,skill,level\nbread,x,baking,2\nbread,x,sewing,0.5\n", "utf-8")
    (bread,) = accepted(tmp_path / "rev.csv", catalogue(BREAD.model_copy(update={"skills": {"welding": 4.0}})))
    assert bread.skills == {"welding": 4.0, "baking": 2.0, "sewing": 0.5}


def test_from_the_lake_to_a_person_and_into_the_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands, with real texts and the packaged text model."""
    monkeypatch.chdir(tmp_path)
    skills = [
        Skill(id="bread", name="Baking bread", description="Dough, yeast and ovens."),
        Skill(id="sql", name="SQL queries", description="Asking a relational database."),
    ]
    items = [
        Item(id="i1", title="Joins and window functions", description="SQL queries on a relational database."),
        Item(id="i2", title="Zebras"),
    ]
    store = EventStore.open("sqlite:///events.db")
    store.tenant("acme").put([*skills, *items], at=datetime(2026, 1, 1, tzinfo=UTC))
    materialize(store.tenant("acme"), tmp_path / "lake")
    run = CliRunner()
    said = run.invoke(app, ["propose", "--tenant", "acme", "--lake", "lake"])
    assert said.exit_code == 0, said.output
    assert "1 of 2 items without skills have proposals" in said.output
    shown = run.invoke(app, ["propose", "--tenant", "acme", "--lake", "lake", "--csv"]).stdout
    (row,) = csv.DictReader(shown.splitlines())
    assert (row["item"], row["skill"], row["level"]) == ("i1", "sql", "2.0")
    assert store.tenant("acme").catalogue().items["i1"].skills == {}  # a proposal is no fact
    Path("rev.csv").write_text(shown)
    command = ["accept", "rev.csv", "--tenant", "acme", "--store", "sqlite:///events.db"]
    assert "1 items changed" in run.invoke(app, command).output
    assert store.tenant("acme").catalogue().items["i1"].skills == {"sql": 2.0}
    store.close()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--csv", "--json"], 2, "exclude one another"),
        ([], 1, "materialize"),
        (["--at-most", "9"], 2, "at-most"),
    ],
)
def test_what_cannot_be_proposed_is_said(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    found = CliRunner().invoke(app, ["propose", "--tenant", "acme", "--lake", str(tmp_path), *arguments])
    assert found.exit_code == code
    assert said in found.output
