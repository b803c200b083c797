"""`python -m experiments design`: how many units and days a design needs, before anything begins."""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from experiments.design import Design, load_design
from experiments.inference.baselines import Baseline, of_learners
from experiments.lifecycle import proposed
from experiments.plan import Plan, plan
from experiments.plan_words import as_json, told
from experiments.traffic import Holdout, Traffic, traffic
from features.terminal import DEFAULT_STORE, JsonOption, StoreOption, fail, is_there, plainly, session, tenant_name

DEFAULT_FOLDER = Path("var/experiments")
FolderOption = Annotated[
    Path,
    typer.Option("--folder", envvar="NEXTWISE_EXPERIMENTS", show_envvar=False, help="Records; else NEXTWISE_EXPERIMENTS."),
]
PolicyOption = Annotated[
    Path | None, typer.Option(envvar="NEXTWISE_POLICY", show_envvar=False, help="Whose holdout holds; else NEXTWISE_POLICY.")
]
DEFAULT_LAKE = Path("var/lake")
LakeOption = Annotated[Path, typer.Option(help="Folder of the lake, which holds the past.")]
AnywayOption = Annotated[bool, typer.Option("--anyway", help="Go on where the minimum effect cannot be found in time.")]
NO_PAST = "nothing is known of its past; give --baseline and --deviation"


def design_command(
    design: Annotated[Path, typer.Argument(help="The design, a TOML file.")],
    tenant: Annotated[
        str | None, typer.Option(callback=lambda name: name and tenant_name(name), help="Whose past and traffic.")
    ] = None,
    baseline: Annotated[float | None, typer.Option(help="The primary's mean of one learner, instead of its past.")] = None,
    deviation: Annotated[float | None, typer.Option(help="Its standard deviation over learners.")] = None,
    correlation: Annotated[float, typer.Option(min=0, max=0.999, help="With what is known from before (CUPED).")] = 0.0,
    size: Annotated[float | None, typer.Option("--cluster-size", min=1, help="Learners a manager or site.")] = None,
    similarity: Annotated[float, typer.Option(min=-1, max=1, help="How learners of one correlate.")] = 0.0,
    anyway: AnywayOption = False,
    store: StoreOption = DEFAULT_STORE,
    policy: PolicyOption = None,
    lake: LakeOption = DEFAULT_LAKE,
    folder: FolderOption = DEFAULT_FOLDER,
    json_: JsonOption = False,
) -> None:
    """Say how many units and days a design needs, and which effect the units that there are can find.

    Exit code 1 where the minimum effect cannot be found within the horizon, or nothing is known of the metric that decides.
    """
    with plainly():
        read = load_design(design)
        kept = None if tenant is None else Kept(tenant, store, lake, policy, folder)
        came = None if kept is None else traffic_of(read, kept)
        past = {} if kept is None else past_of(read, kept)
        given = _given(read, came, baseline, deviation, correlation, size, similarity)
        if given is not None or not past:
            past = {**past, read.primary.metric: given or NO_PAST}
        found = plan(read, past, came)
    typer.echo(json.dumps(as_json(found), indent=2, allow_nan=False) if json_ else "\n".join(told(found)))
    judge(found, anyway=anyway)
    if found.primary is None:
        fail(f"{read.primary.metric}: {found.unknown[read.primary.metric]}")


def judge(found: Plan, *, anyway: bool) -> None:
    """Ends the command where the plan is hopeless, unless told otherwise."""
    if found.hopeless is not None and not anyway:
        fail(f"{found.hopeless}. Take a larger minimum effect, more traffic or a longer horizon, or say --anyway")
    if found.hopeless is not None:
        typer.echo(f"Told to go on: {found.hopeless}.", err=True)


@dataclass(frozen=True)
class Kept:
    """Where a tenant's past and traffic are kept."""

    tenant: str
    store: str
    lake: Path
    policy: Path | None
    folder: Path


def traffic_of(design: Design, kept: Kept) -> Traffic | None:
    """Who would come by this tenant's own past; None where there is no store yet, or nobody came. Raises as `start`."""
    from experiments.preview import holdout_of  # only here: it needs what serves

    now, holdout = datetime.now(UTC), Holdout(*holdout_of(kept.policy))
    phase = proposed(kept.folder, kept.tenant, design, at=now)
    if not is_there(kept.store):
        return None
    with session(kept.store, kept.tenant) as opened:
        return traffic(opened, phase, holdout, now=now)


def past_of(design: Design, kept: Kept) -> dict[str, Baseline | str]:
    """Metric -> its baseline by this tenant's own past, or why there is none."""
    from experiments.past import baselines  # duckdb and pandas are needed here only
    from features.partitions import LakeError

    try:
        return baselines(kept.lake, kept.tenant, design)
    except LakeError as error:
        return {design.primary.metric: f"its past cannot be read: {error}"}


def _given(
    design: Design,
    came: Traffic | None,
    mean: float | None,
    deviation: float | None,
    correlation: float,
    size: float | None,
    similarity: float,
) -> Baseline | None:
    """The baseline of the command line. Sizes of clusters are those that came, where none is given."""
    if mean is None and deviation is None:
        return None
    if mean is None or deviation is None or deviation < 0:
        raise ValueError("--baseline and --deviation go together, and a deviation is not below 0")
    if not (math.isfinite(mean) and math.isfinite(deviation)):
        raise ValueError("--baseline and --deviation are numbers; these are not")
    if design.unit == "learner":
        return of_learners(mean, deviation, correlation=correlation)
    if size is None and came is None:
        raise ValueError(f"whole {design.unit}s are assigned: give --cluster-size and --similarity, or a --tenant with traffic")
    counted = (came.size, came.variation) if size is None and came is not None else (size or 1.0, 0.0)
    return of_learners(mean, deviation, correlation=correlation, size=counted[0], variation=counted[1], similarity=similarity)
