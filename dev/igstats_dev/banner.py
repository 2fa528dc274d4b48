"""What a newcomer sees when everything runs: every address, a key, the first calls to try."""

import json
import shlex
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from igstats_dev.account import Access
from igstats_dev.instagram.people import People
from igstats_dev.layout import Layout


def rows(layout: Layout, access: Access) -> list[tuple[str, str]]:
    """Names and addresses."""
    return [
        ("Gateway", f"{access.gateway_http}   gRPC {access.gateway_grpc}   (TLS)"),
        ("For persons", f"{layout.public_url}/privacy"),
        ("Test key", access.key),
        ("Account", access.account_id),
        ("CA", access.ca),
        ("Instagram", f"{access.instagram}   (emulator; tokens at /_profiles, faults at /_faults)"),
        ("Letters", f"{layout.letters_url}   SMTP {layout.address('mail-smtp')}   (caught; faults at /_faults)"),
        ("DROP", f"{layout.drop_url}   (California's, emulated; ask at /_consumers, answers at /_answers)"),
        ("NATS", f"{layout.nats().url}   figures {layout.nats().monitor_url}"),
        ("PostgreSQL", f"127.0.0.1:{layout.ports['postgres']}   passwords in {layout.secrets.directory}"),
        ("Metrics", "   ".join(_metrics(layout))),
        ("Data", f"{layout.folder}   logs in {layout.logs}"),
    ]


def first_calls(access: Access, username: str) -> list[str]:
    """Commands that work as they stand, in another terminal in this folder; `username` is of a connected profile."""
    curl = f'curl --cacert {access.ca} -H "Authorization: Bearer {access.key}" {access.gateway_http}/v1/profiles'
    igstats = _tool("igstats")
    asks = f"{igstats} request open --kind access"
    own = [f"{asks} --own-account --watch", f"{_tool('igstats-dev')} mail"]
    if username:
        return [curl, f"{igstats} profile show {username}", f"{asks} --username {username} --watch", *own]
    token = json.dumps({"access_token": People(1, seed=0).all[0].access_token})
    return [f"{igstats} call ConnectionService/CreateConnection -d {shlex.quote(token)}", curl, *own]


def _tool(name: str) -> str:
    """The command as it can be typed here."""
    path, here = Path(sys.executable).with_name(name), Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def show(console: Console, layout: Layout, access: Access, username: str = "") -> None:
    """Prints it."""
    table = Table.grid(padding=(0, 2))
    for name, value in rows(layout, access):
        table.add_row(f"[bold]{name}[/bold]", escape(value))
    title = "igstats, development only: keys are printed"
    console.print(Panel(table, title=title, title_align="left", expand=False), highlight=False)
    console.print("Try, in another terminal in this folder:", highlight=False)
    for line in first_calls(access, username):
        console.print(f"  {escape(line)}", highlight=False, soft_wrap=True)
    console.print("Ctrl-C stops everything.", highlight=False)


def _metrics(layout: Layout) -> list[str]:
    faces = [name for name in layout.ports if name.endswith("-metrics")]
    return [f"{name.removesuffix('-metrics')} http://{layout.address(name)}/metrics" for name in faces]
