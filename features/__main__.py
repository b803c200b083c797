"""`python -m features synthesize|ingest|check|materialize`."""

from features.cli import app

if __name__ == "__main__":
    app(prog_name="python -m features")
