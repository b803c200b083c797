"""Command line of the experiments room."""

from typing import Annotated

import typer

from experiments.analyze_cli import analyze_command
from experiments.assignment import assign as assign_arm
from experiments.assignment import bucket
from experiments.design_cli import design_command
from experiments.lifecycle_cli import list_command, reallocate_command, shares_of, start_command, stop_command
from experiments.report_cli import report_command
from experiments.simulate_cli import simulate_command

app = typer.Typer(no_args_is_help=True, add_completion=False, help="From decisions and outcomes to a verdict.")
app.command("design")(design_command)
app.command("start")(start_command)
app.command("stop")(stop_command)
app.command("reallocate")(reallocate_command)
app.command("list")(list_command)
app.command("analyze")(analyze_command)
app.command("simulate")(simulate_command)
app.command("report")(report_command)


@app.callback()
def experiments() -> None:
    """From decisions and outcomes to a verdict."""


@app.command()
def assign(
    unit: Annotated[str, typer.Argument(help="Learner, manager or site id.")],
    seed: Annotated[str, typer.Option(help="Seed of the experiment: its name.")],
    arms: Annotated[str, typer.Option(help="Shares as arm=share, comma separated.")] = "control=0.5,treatment=0.5",
) -> None:
    """Print the bucket and the arm that a unit falls into."""
    try:
        arm = assign_arm(seed, unit, shares_of(arms))
    except ValueError as error:
        words = f"{error}; such as control=0.5,treatment=0.5"
        raise typer.BadParameter(words, param_hint="--arms") from error
    typer.echo(f"bucket {bucket(seed, unit):.4f}  arm {arm or '(outside)'}")
