"""`python -m experiments simulate`: an experiment whose truth is known, in the embedded organisation, ready for a report."""

from pathlib import Path
from typing import Annotated

import typer

from features.terminal import TenantOption, fail, progress


def simulate_command(
    name: Annotated[
        str, typer.Argument(help="null, skewed, clustered, drifting, harmful, beneficial, bolder, or a TOML file.")
    ],
    tenant: TenantOption,
    out: Annotated[Path | None, typer.Option(help="Folder of its own store and records; else var/simulated/NAME.")] = None,
    days: Annotated[int, typer.Option(min=7, max=180, help="Days that it runs: the last ones of the period.")] = 28,
    seed: Annotated[int, typer.Option(min=0, help="Of what chance does in it.")] = 1,
    learners: Annotated[int | None, typer.Option(min=50, help="How many learners; else the parameters' number.")] = None,
    parameters: Annotated[Path | None, typer.Option(help="Parameter file of the organisation; else the embedded one.")] = None,
    organisation: Annotated[int, typer.Option(min=0, help="Seed of the organisation, as in `features synthesize`.")] = 7,
    bundles: Annotated[Path, typer.Option(help="Where the tenant's bundle is published.")] = Path("bundles"),
) -> None:
    """Let an experiment run in the embedded organisation, through the ranking pipeline, a store, and back.

    Learners come and choose as the organisation's truth has it; what they are shown is ranked by the tenant's published bundle
    and the policy of their arm. The store is one of its own: nothing of it reaches the tenant's.
    """
    from experiments.lifecycle import LifecycleError
    from experiments.simulate.scenario import ScenarioError, scenario
    from experiments.simulate.served import UnservedError
    from experiments.simulate.trial import Place, run
    from features.synthetic.parameters import load

    try:
        plan, shape = scenario(name), load(parameters)
        if days >= shape.period.days:
            fail(f"--days {days}: the organisation's period has {shape.period.days} days, and some must lie before", code=2)
        if learners is not None:
            shape = shape.model_copy(update={"people": shape.people.model_copy(update={"learners": learners})})
        place = Place(out or Path("var/simulated") / plan.name, bundles, tenant)
        if (place.folder / "events.db").exists():
            fail(f"{place.folder} holds a simulated experiment already; remove it, or name another folder with --out", code=2)
        with progress(f"Simulating {plan.name}") as tell:
            found = run(plan, place, shape, days=days, seed=seed, organisation_seed=organisation, tell=tell)
    except OSError as error:
        words = f"{error.filename or out} cannot be written: {error.strerror or error}; name another folder with --out"
        fail(words, code=2)
    except (ScenarioError, UnservedError, LifecycleError, ValueError) as error:
        fail(str(error), code=2)
    typer.echo(
        f"{plan.name}: {found.began:%Y-%m-%d} to {found.ended:%Y-%m-%d}, {found.control:,} learners in control and"
        f" {found.treatment:,} in treatment, {found.decisions:,} decisions, {found.events:,} events of theirs"
    )
    typer.echo(
        f"Read it: python -m experiments report {plan.name} --tenant {tenant} --store {place.store}"
        f" --lake {place.folder / 'lake'} --folder {place.records} --out {place.folder}"
    )
