"""What a newcomer sees when everything runs: every address, a key, the first call to try."""

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from igstats_dev.account import Access
from igstats_dev.layout import Layout


def rows(layout: Layout, access: Access) -> list[tuple[str, str]]:
    """Names and addresses."""
    return [
        ("Gateway", f"{access.gateway_http}   gRPC {access.gateway_grpc}   (TLS)"),
        ("For persons", f"{layout.public_url}/privacy"),
        ("Test key", access.key),
        ("Account", access.account_id),
        ("CA", access.ca),
        ("Instagram", f"{access.instagram}   (emulator; faults at /_faults)"),
        ("Letters", f"{layout.letters_url}   SMTP {layout.address('mail-smtp')}   (caught; faults at /_faults)"),
        ("DROP", f"{layout.drop_url}   (California's, emulated; ask at /_consumers, answers at /_answers)"),
        ("NATS", f"{layout.nats().url}   figures {layout.nats().monitor_url}"),
        ("PostgreSQL", f"127.0.0.1:{layout.ports['postgres']}   passwords in {layout.secrets.directory}"),
        ("Metrics", "   ".join(_metrics(layout))),
        ("Data", f"{layout.folder}   logs in {layout.logs}"),
    ]


def first_calls(access: Access) -> list[str]:
    """Commands that work as they stand."""
    curl = f'curl --cacert {access.ca} -H "Authorization: Bearer {access.key}" {access.gateway_http}/v1/profiles'
    return [curl, "igstats --help", "igstats-dev mail", "Ctrl-C stops everything"]


def show(console: Console, layout: Layout, access: Access) -> None:
    """Prints it."""
    table = Table.grid(padding=(0, 2))
    for name, value in rows(layout, access):
        table.add_row(f"[bold]{name}[/bold]", escape(value))
    title = "igstats, development only: keys are printed"
    console.print(Panel(table, title=title, title_align="left", expand=False), highlight=False)
    console.print("Try:", highlight=False)
    for line in first_calls(access):
        console.print(f"  {escape(line)}", highlight=False, soft_wrap=True)


def _metrics(layout: Layout) -> list[str]:
    faces = [name for name in layout.ports if name.endswith("-metrics")]
    return [f"{name.removesuffix('-metrics')} http://{layout.address(name)}/metrics" for name in faces]
