"""A report in MLflow: the page, the numbers, the verdict as a tag, the primary's estimate as a metric."""

from pathlib import Path

from experiments.analysis import Reading
from experiments.inference.estimates import Estimate
from training.tracking import Registry


def track(reading: Reading, tenant: str, files: list[Path], tracking: str, artifacts: Path) -> str:
    """Logs a run of the tenant's experiment and gives its id. Raises what MLflow does when it cannot."""
    tags = {
        "experiment": reading.design.name,
        "design": reading.design.digest,
        "verdict": reading.verdict.kind,
        "sentence": reading.verdict.sentence,
    }
    with Registry(tenant, tracking, artifacts).run(f"experiment {reading.design.name}", tags=tags) as run:
        for path in files:
            run.file(path)
        if found := _estimates(reading):
            run.metrics(found)
        return run.run_id


def _estimates(reading: Reading) -> dict[str, float]:
    return {
        f"{name}.{one.arm}": value
        for one in reading.of("primary")
        if isinstance(one.found, Estimate)
        for name, value in (("primary", one.found.value), ("primary_low", one.found.low), ("primary_high", one.found.high))
    }
