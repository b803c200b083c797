"""`python -m features VERB`: from learning logs to a store, and from there to a lake. `--help` lists the verbs."""

if __name__ == "__main__":  # a process that reads a file imports this module too, and needs no command
    from features.cli import app

    app(prog_name="python -m features")
