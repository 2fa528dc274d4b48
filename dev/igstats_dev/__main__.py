"""The command `igstats-dev`."""

import asyncio
import logging
import signal
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Annotated

import typer
from igstats_kit.testing.environment import SERVICES
from igstats_kit.testing.processes import ProcessError
from rich.console import Console

from igstats_dev import account, banner, canaries
from igstats_dev.demo import story
from igstats_dev.drill import RestoreDrill
from igstats_dev.mail.letters import Letters
from igstats_dev.report import ConsoleReport
from igstats_dev.stack import AlreadyRunningError, NotRunningError, attached, running

app = typer.Typer(help="The whole of igstats on this machine, with an emulated Instagram.", no_args_is_help=True)
Folder = Annotated[Path, typer.Option("--data", help="Where the stack keeps its data.")]
Without = Annotated[
    list[str] | None,
    typer.Option(help=f"A service that you run yourself with DATA/<service>.env; one of {', '.join(SERVICES)}."),
]
DATA = Path(".igstats")


@app.command()
def up(data: Folder = DATA, without: Without = None) -> None:
    """Start everything and keep it running until Ctrl-C."""
    sys.exit(_run(_up(data, [name for name in SERVICES if name not in (without or ())])))


@app.command()
def run(
    data: Folder = DATA, *, once: Annotated[bool, typer.Option("--once", help="End after the story: 0 or 1.")] = False
) -> None:
    """Start everything, tell the main job step by step, keep running until Ctrl-C."""
    sys.exit(_run(_tell(data, once=once)))


@app.command()
def demo(data: Folder = DATA) -> None:
    """Tell the main job step by step on a stack that `up` runs in another terminal."""
    sys.exit(_run(_retell(data)))


@app.command()
def mail(name: Annotated[str, typer.Argument(help="A letter, as it came.")] = "", data: Folder = DATA) -> None:
    """List the letters that the stack caught, or show one."""
    letters = Letters(data / "mail")
    if not name:
        for one in letters.all():
            typer.echo(f"{one.name}  {one.to}  {one.subject}")
        return
    found = letters.raw(name)
    if found is None:
        typer.echo(f"no letter {name}", err=True)
        raise typer.Exit(1)
    sys.stdout.buffer.write(found)


@app.command()
def canary(data: Folder = DATA) -> None:
    """Plant a person, have them erased, look for them, on a stack that `up` runs in another terminal: 0 when proved."""
    sys.exit(_run(_canary(data)))


drill = typer.Typer(help="Break something on purpose and see that it heals.", no_args_is_help=True)
app.add_typer(drill, name="drill")


@drill.callback()
def drills() -> None:
    """Break something on purpose and see that it heals."""


@drill.command()
def restore(data: Folder = DATA) -> None:
    """Restore a database from before a deletion: 0 when nobody comes back, else 1."""
    sys.exit(_run(_restore(data)))


async def _restore(folder: Path) -> int:
    console = Console()
    async with running(folder, ConsoleReport(console)) as stack:
        return 0 if await RestoreDrill(stack, console).run() else 1


async def _canary(folder: Path) -> int:
    return await canaries.run(attached(folder, ConsoleReport(Console())))


async def _up(folder: Path, services: Sequence[str]) -> int:
    console = Console()
    async with running(folder, ConsoleReport(console), services) as stack:
        banner.show(console, stack.layout, await account.ensure(stack))
        await asyncio.Event().wait()
    return 0


async def _tell(folder: Path, *, once: bool) -> int:
    console = Console()
    async with running(folder, ConsoleReport(console)) as stack:
        access = await account.ensure(stack)
        stays = await story.tell(stack, access, console)
        if not once:
            banner.show(console, stack.layout, access, stays)
            await asyncio.Event().wait()
    return 0 if stays else 1


async def _retell(folder: Path) -> int:
    console = Console()
    stack = attached(folder, ConsoleReport(console))
    return 0 if await story.tell(stack, account.read(folder), console) else 1


def _run(main: Coroutine[None, None, int]) -> int:
    """Runs it; a first signal stops everything in order, a second one at once. Returns the exit code."""
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it remarks on each connection that a server ends
    try:
        return asyncio.run(_until_signal(main))
    except (AlreadyRunningError, NotRunningError, ProcessError) as error:
        Console(stderr=True).print(f"[red]igstats-dev:[/red] {error}", highlight=False)
        return 1


async def _until_signal(main: Coroutine[None, None, int]) -> int:
    task = asyncio.ensure_future(main)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return 0


def main() -> None:
    """Entry point."""
    app()


if __name__ == "__main__":
    main()
