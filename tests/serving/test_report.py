"""From requests to a running service to the verdict: arms that it gave, what came of them, and what they cost."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from acme import NOW, TENANT
from starlette.testclient import TestClient
from typer.testing import CliRunner

from experiments.cli import app
from experiments.design import design_of
from experiments.lifecycle import start
from serving.settings import Settings

DESIGN = {
    "name": "bold.er-2",
    "unit": "learner",
    "horizon_days": 14,
    "peeking": "always-valid",  # the clock of this machine is another than the tests'
    "allocation": {"control": 0.5, "treatment": 0.5},
    "variants": {"treatment": {"policy": {"epsilon": 0.5}}},
    "primary": {"metric": "completion", "relative": False},
}


def test_what_the_service_recorded_is_what_a_report_reads(client: TestClient, settings: Settings, tmp_path: Path) -> None:
    start(settings.experiments, TENANT, design_of(DESIGN, "test"), at=NOW - timedelta(days=1))
    sizes, done = {"control": 0, "treatment": 0}, {"control": 0, "treatment": 0}
    for n in range(40):
        answer = client.post("/v1/recommendations", json={"learner_id": f"new-{n}", "limit": 3}).json()
        arm = answer["arms"].get("bold.er-2")
        if arm is None:  # the holdout
            continue
        sizes[arm] += 1
        items = [item["item_id"] for row in answer["rows"] for item in row["items"]]
        for item in items[: n % 2 + (arm == "treatment")]:
            event = {"event_id": f"{n} {item}", "learner_id": f"new-{n}", "verb": "completed", "object_id": item}
            sent = {**event, "occurred_at": NOW.isoformat(), "decision_id": answer["decision_id"]}
            assert client.post("/v1/events", json=sent).json()["accepted"] == 1
            done[arm] += 1
    options = [
        "--tenant",
        TENANT,
        "--store",
        settings.store,
        "--folder",
        str(settings.experiments),
        "--out",
        str(tmp_path / "out"),
    ]
    options += ["--lake", str(tmp_path / "lake"), "--tracking", f"sqlite:///{tmp_path}/none.db"]
    result = CliRunner().invoke(app, ["report", "bold.er-2", *options])
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "out" / "bold.er-2.json").read_text())
    assert found["health"]["units"] == sizes
    (metric,) = found["metrics"]
    assert metric["control_mean"] == pytest.approx(done["control"] / sizes["control"])
    assert metric["arm_mean"] == pytest.approx(done["treatment"] / sizes["treatment"])
    assert {one["arm"]: one["decisions"] for one in found["prices"]} == sizes
    assert all(0 < one["ranking_ms_p50"] <= one["ranking_ms_p95"] for one in found["prices"])
