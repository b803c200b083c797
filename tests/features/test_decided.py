"""Decisions, choices and memberships in the lake, made from a real store."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from features import decided, lake
from features.catalogue import Learner
from features.decisions import Decision, Randomisation, Row, SlateItem
from features.nudges import Arm, Channel, Choice, Nudge, NudgeChoice
from features.partitions import LakeError
from features.store import EventStore, TenantSession

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TenantSession]:
    monkeypatch.setattr(decided, "FULL", 3)
    opened = EventStore.open(f"sqlite:///{tmp_path}/events.db")
    yield opened.tenant("acme")
    opened.close()


def decision(name: str, learner: str = "ann", **more: Any) -> Decision:
    body = {"decision_id": name, "tenant": "acme", "learner_id": learner, "decided_at": NOON, "bundle": "b", "policy": "p"}
    return Decision.model_validate({**body, "randomisation": Randomisation(epsilon=0, seed=1, support=1), **more})


def rows(folder: Path, table: str = "decisions") -> list[dict[str, Any]]:
    return [row for path in lake.decided_files(folder, "acme")[table] for row in pq.ParquetFile(path).read().to_pylist()]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "decisions" / "tenant=acme").iterdir())


def test_what_a_report_needs_of_a_decision_comes_back(acme: TenantSession, tmp_path: Path) -> None:
    slate = tuple(SlateItem(item_id=name, position=n, score=1, propensity=1, source="x") for n, name in enumerate("ba"))
    more = {
        "arms": {"x": "treatment", "a": "ü"},
        "rows": (Row(title="t", items=slate),),
        "stages_ms": {"score": 1.5, "rank": 2},
    }
    acme.record([decision("d1", fallback="popular", surface="home", **more)])
    nudge = Nudge(arm=Arm.TEACH, channel=Channel.SLACK, propensity=1, offered={Arm.TEACH: 1}, reason="r", item_id="c")
    acme.record([decision("d2", kind="nudge", nudge=nudge)])
    assert lake.materialize(acme, tmp_path).decisions == 2
    first, second = rows(tmp_path)
    assert json.loads(first["arms"]) == {"x": "treatment", "a": "ü"}
    assert (json.loads(first["item_ids"]), json.loads(first["stages_ms"])) == (["b", "a"], {"score": 1.5, "rank": 2.0})
    assert (first["total_ms"], first["fallback"], first["surface"], first["spoke"]) == (3.5, "popular", "home", False)
    assert (first["decided_at"], first["learner_id"], first["decision_id"]) == (NOON, "ann", "d1")
    assert (second["kind"], second["spoke"], second["item_ids"], second["total_ms"]) == ("nudge", True, '["c"]', 0.0)


def test_choices_and_memberships_come_back(acme: TenantSession, tmp_path: Path) -> None:
    acme.put([Learner(id="ann", manager_id="m1", org_unit="north", role_id="r")], at=NOON)
    acme.put([Learner(id="ann", manager_id="m2")], at=NOON + DAY)
    acme.choose_nudges(NudgeChoice(action_id="a", learner_id="ann", choice=Choice.STOP, occurred_at=NOON, recorded_at=NOON))
    lake.materialize(acme, tmp_path)
    assert [(row["learner_id"], row["choice"], row["occurred_at"]) for row in rows(tmp_path, "choices")] == [
        ("ann", "stop", NOON)
    ]
    found = [(row["manager_id"], row["org_unit"], row["valid_from"], row["valid_to"]) for row in rows(tmp_path, "memberships")]
    assert found == [("m1", "north", NOON, NOON + DAY), ("m2", None, NOON + DAY, None)]


def test_the_newest_file_is_filled_and_the_others_stay(acme: TenantSession, tmp_path: Path) -> None:
    acme.record([decision(f"d{n}") for n in range(4)])
    lake.materialize(acme, tmp_path)
    assert names(tmp_path) == ["1-3.parquet", "4-4.parquet"]
    stays = (tmp_path / "decisions" / "tenant=acme" / "1-3.parquet").stat().st_mtime_ns
    acme.record([decision("d4"), decision("d5")])
    lake.materialize(acme, tmp_path)
    acme.record([decision("d6")])
    lake.materialize(acme, tmp_path)
    assert names(tmp_path) == ["1-3.parquet", "4-6.parquet", "7-7.parquet"]
    assert (tmp_path / "decisions" / "tenant=acme" / "1-3.parquet").stat().st_mtime_ns == stays
    assert [row["decision_id"] for row in rows(tmp_path)] == [f"d{n}" for n in range(7)]


def test_files_come_by_number_and_not_by_name(acme: TenantSession, tmp_path: Path) -> None:
    acme.record([decision(f"d{n}") for n in range(13)])
    for _ in range(2):  # also when the manifest is read again
        lake.materialize(acme, tmp_path)
        assert [row["seq"] for row in rows(tmp_path)] == list(range(1, 14))
    acme.record([decision("d13")])
    lake.materialize(acme, tmp_path)
    assert names(tmp_path)[:2] == ["1-3.parquet", "10-12.parquet"]
    assert "13-14.parquet" in names(tmp_path)


@pytest.mark.parametrize("erased", ["ann", "bob"])
def test_an_erased_learner_is_gone_from_every_file(acme: TenantSession, tmp_path: Path, erased: str) -> None:
    who = ["ann", "bob", "cem", "bob", "ann"]  # the last decision is ann's
    acme.record([decision(f"d{n}", learner) for n, learner in enumerate(who)])
    acme.put([Learner(id=name) for name in ("ann", "bob")], at=NOON)
    lake.materialize(acme, tmp_path)
    acme.erase(erased, at=NOON + DAY)
    lake.materialize(acme, tmp_path)
    assert [row["learner_id"] for row in rows(tmp_path)] == [name for name in who if name != erased]
    assert erased not in {row["learner_id"] for row in rows(tmp_path, "memberships")}
    assert not any(erased.encode() in path.read_bytes() for path in (tmp_path / "decisions").rglob("*.parquet"))


def test_a_damaged_file_is_refused_and_written_again(acme: TenantSession, tmp_path: Path) -> None:
    acme.record([decision(f"d{n}") for n in range(4)])
    lake.materialize(acme, tmp_path)
    (tmp_path / "decisions" / "tenant=acme" / "1-3.parquet").write_bytes(b"PAR1")
    with pytest.raises(LakeError, match=r"1-3\.parquet is truncated or no Parquet file: run `python -m features materialize"):
        rows(tmp_path)
    lake.materialize(acme, tmp_path)
    assert [row["decision_id"] for row in rows(tmp_path)] == ["d0", "d1", "d2", "d3"]


def test_a_store_from_before_gives_its_own_decisions(acme: TenantSession, tmp_path: Path) -> None:
    acme.record([decision(f"d{n}") for n in range(4)])
    lake.materialize(acme, tmp_path / "lake")
    other = EventStore.open(f"sqlite:///{tmp_path}/restored.db")
    other.tenant("acme").record([decision("e0")])
    lake.materialize(other.tenant("acme"), tmp_path / "lake")
    other.close()
    assert [row["decision_id"] for row in rows(tmp_path / "lake")] == ["e0"]


def test_decisions_change_no_digest_that_models_are_known_by(acme: TenantSession, tmp_path: Path) -> None:
    before = lake.materialize(acme, tmp_path).digest
    acme.record([decision("d1")])
    assert lake.materialize(acme, tmp_path).digest == before


def test_a_lake_of_an_older_program_says_what_to_run(acme: TenantSession, tmp_path: Path) -> None:
    lake.materialize(acme, tmp_path)
    path = tmp_path / "manifests" / "acme.json"
    said = json.loads(path.read_text())
    del said["decided"]
    path.write_text(json.dumps(said))
    with pytest.raises(LakeError, match="has no decisions yet: run `python -m features materialize --tenant acme`"):
        lake.decided_files(tmp_path, "acme")
