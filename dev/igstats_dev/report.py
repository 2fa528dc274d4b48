"""What people see while the stack runs."""

import time
from typing import Protocol

from rich.console import Console
from rich.markup import escape


class Report(Protocol):
    """Hears what happens to the parts."""

    def starting(self, name: str) -> None:
        """A part is being started."""

    def ready(self, name: str) -> None:
        """A part is ready."""

    def died(self, name: str, how: str, pause: float) -> None:
        """A part ended without being asked to; it comes back after the pause."""

    def step(self, words: str) -> None:
        """Something else was done."""


class ConsoleReport:
    """Writes to a terminal or a pipe; a terminal also shows what is being waited for."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._begun: dict[str, float] = {}
        self._status = console.status("starting") if console.is_terminal else None

    def starting(self, name: str) -> None:
        """Shows what is waited for."""
        self._begun[name] = time.monotonic()
        self._show()

    def ready(self, name: str) -> None:
        """Writes a line with the time it took."""
        begun = self._begun.pop(name, None)
        took = f"  [dim]{time.monotonic() - begun:.1f} s[/dim]" if begun else "  [dim]is back[/dim]"
        self.console.print(f"  [green]✓[/green] {name}{took}", highlight=False)
        self._show()

    def died(self, name: str, how: str, pause: float) -> None:
        """Writes why, and when it comes back."""
        self.console.print(f"  [red]✗[/red] {name} {escape(how)}; starts again in {pause:g} s", highlight=False)

    def step(self, words: str) -> None:
        """Writes a line."""
        self.console.print(f"  [green]✓[/green] {words}", highlight=False)

    def _show(self) -> None:
        if self._status is None:
            return
        if self._begun:
            self._status.update(f"starting {', '.join(self._begun)}")
            self._status.start()
        else:
            self._status.stop()


class SilentReport:
    """Remembers deaths and says nothing: for tests."""

    def __init__(self) -> None:
        self.deaths: list[str] = []

    def starting(self, name: str) -> None:
        """Nothing."""

    def ready(self, name: str) -> None:
        """Nothing."""

    def died(self, name: str, how: str, pause: float) -> None:
        """Remembers it."""
        self.deaths.append(f"{name} {how}, again in {pause:g} s")

    def step(self, words: str) -> None:
        """Nothing."""
