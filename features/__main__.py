"""`python -m features VERB`: from learning logs to a store, and from there to a lake. `--help` lists the verbs."""

from features.cli import app

if __name__ == "__main__":
    app(prog_name="python -m features")
