"""`python -m experiments VERB`."""

from experiments.cli import app

app(prog_name="python -m experiments")
