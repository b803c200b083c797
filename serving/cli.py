"""`python -m serving serve | doctor | demo | openapi | keys | grants`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from serving.grants_cli import app as grants
from serving.keys_cli import app as keys
from serving.policy import load_policy
from serving.settings import ROOT, Settings, child_environment, own_home

app = typer.Typer(help="Serve published bundles over HTTP.", no_args_is_help=True, add_completion=False)
app.add_typer(keys, name="keys")
app.add_typer(grants, name="grants")


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 3000,
) -> None:
    """Serve what is published, with one worker, until Ctrl-C. Settings come from NEXTWISE_* variables."""
    settings = Settings()
    try:
        load_policy(settings.policy)
    except ValueError as error:
        Console(stderr=True).print(str(error), markup=False)
        raise typer.Exit(1) from error
    serve_command = ["-m", "bentoml", "serve", "serving.service:Nextwise", "--working-dir", str(ROOT)]
    arguments = [sys.executable, *serve_command, "--host", host, "--port", str(port)]
    os.execve(sys.executable, arguments, {**child_environment(settings), "BENTOML_HOME": str(own_home())})


@app.command()
def demo(
    url: Annotated[str, typer.Option(help="Where the service is.")] = "http://127.0.0.1:3000",
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for the service to be ready.")] = 10,
) -> None:
    """Call the running service as a host LMS would: three learners, then one event that changes the next answer."""
    from serving.demo import DemoError, run

    try:
        run(url.rstrip("/"), Settings(), wait_s=wait, console=Console())
    except DemoError as error:
        Console(stderr=True).print(str(error), markup=False)
        raise typer.Exit(1) from error


@app.command()
def doctor(
    url: Annotated[str, typer.Option(help="Where the service is.")] = "http://127.0.0.1:3000",
    key: Annotated[
        str | None, typer.Option(envvar="NEXTWISE_KEY", help="The key to try; without it the development key.")
    ] = None,
    learner: Annotated[str | None, typer.Option(help="Rank for this learner; without it for somebody unknown.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One object a line.")] = False,
) -> None:
    """Is the connection well: service, clock, key, intake, unknown ids, one ranking. Exit 1 where something does not work."""
    import json
    from dataclasses import asdict

    import httpx

    from serving.doctor import examine

    console, bad = Console(), False
    marks = {"ok": "[green]ok  [/]", "look": "[yellow]look[/]", "bad": "[red]bad [/]"}
    with httpx.Client(base_url=url.rstrip("/"), timeout=10) as http:
        for found in examine(http, key or Settings().dev_key, learner=learner):
            bad |= found.verdict == "bad"
            if as_json:
                sys.stdout.write(json.dumps(asdict(found)) + "\n")
            else:
                console.print(
                    f"{marks[found.verdict]} [bold]{found.check}[/]: {escape(found.words)}", highlight=False, soft_wrap=True
                )
    raise typer.Exit(int(bad))


@app.command("openapi")
def write_openapi(out: Annotated[Path | None, typer.Option(help="File to write; standard output without it.")] = None) -> None:
    """Write the OpenAPI document of all routes."""
    import json

    from serving import service

    text = json.dumps(service.pages.document, indent=1, ensure_ascii=False) + "\n"
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text, encoding="utf-8")
