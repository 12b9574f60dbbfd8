"""The `finetune` command: one subcommand a process of the Procfile, and the tools around them."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tasks.settings import Settings

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="A Slack teammate that turns examples into a fine-tuned model.",
)
MARKS = {"ok": "✓ ok", "warning": "! mind", "wrong": "✗ mend"}


@app.command()
def web() -> None:
    """Slack over HTTP or Socket Mode, the turn runner, the relay and the periodic work."""
    import uvloop

    from bot.app import serve
    from bot.settings import SlackSettings

    slack, settings = SlackSettings(), _settings()
    _logs(slack.log_format)
    if missing := slack.missing():
        typer.echo(f"Set {', '.join(missing)}; `finetune doctor` explains.", err=True)
        raise typer.Exit(2)
    uvloop.run(serve(settings, slack))


@app.command()
def worker() -> None:
    """Does the steps: validation, topics, generation, dry runs, uploads."""
    _work("steps")


@app.command()
def trainer() -> None:
    """Does the jobs of the `training` queue."""
    _work("training")


@app.command()
def doctor() -> None:
    """Check tokens, scopes, Redis, storage and models, and say what to mend."""
    from bot.doctor import examine
    from bot.settings import SlackSettings

    found = asyncio.run(examine(_settings(), SlackSettings()))
    for finding in found:
        typer.echo(f"{MARKS[finding.state]:<7} {finding.what}: {finding.says}")
    if any(finding.state == "wrong" for finding in found):
        raise typer.Exit(1)


@app.command()
def manifest(
    public_url: Annotated[
        str, typer.Option(help="Where Slack reaches web; without it the manifest is for Socket Mode.")
    ] = "",
) -> None:
    """Print the Slack app manifest."""
    from bot.manifest import as_text

    typer.echo(as_text(public_url), nl=False)


@app.command()
def sandbox(
    journey: Annotated[bool, typer.Option(help="Play the whole journey and exit.")] = False,
    port: Annotated[int, typer.Option(help="The local Slack workspace, for the browser.")] = 4000,
    keep: Annotated[bool, typer.Option(help="Keep the data of the sandbox between runs.")] = False,
    workers: Annotated[int, typer.Option(help="Workers; a long step is shared by all that are free.")] = 2,
) -> None:
    """A local Slack workspace with everything: no account, no key."""
    from bot.sandbox.launch import run

    raise typer.Exit(run(journey=journey, port=port, keep=keep, workers=workers))


def _work(queue: str) -> None:
    from tasks.worker import main

    _logs(None)
    raise typer.Exit(main([queue]))


def _settings() -> Settings:
    from tasks.settings import SettingsError, load

    try:
        return load()
    except SettingsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error


def _logs(style: str | None) -> None:
    from bot.logs import configure
    from bot.settings import SlackSettings

    configure("text" if (style or SlackSettings().log_format) == "text" else "json")


if __name__ == "__main__":
    sys.exit(app())
