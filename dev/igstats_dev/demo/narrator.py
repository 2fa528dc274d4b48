"""Tells the story and holds it against the facts."""

from rich.console import Console
from rich.markup import escape

_WIDEST = 150


class StoryError(Exception):
    """A step did not do what it tells; the text says what was seen instead."""


class Narrator:
    """Writes chapters, commands, what came back, and what it proves."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._chapter = 0

    def chapter(self, title: str) -> None:
        """Begins the next step."""
        self._chapter += 1
        self.console.print(f"\n[bold]{self._chapter}. {escape(title)}[/bold]", highlight=False, soft_wrap=True)

    def command(self, words: str) -> None:
        """Shows what is run, as one could type it."""
        self.console.print(f"   [cyan]$ {escape(words)}[/cyan]", highlight=False, soft_wrap=True)

    def answer(self, words: str) -> None:
        """Shows what came back, shortened."""
        shown = words if len(words) <= _WIDEST else f"{words[:_WIDEST]} ..."
        self.console.print(f"   [dim]{escape(shown)}[/dim]", highlight=False, soft_wrap=True)

    def check(self, truth: object, claim: str, otherwise: str = "") -> None:
        """States the claim when it is true.

        Raises:
            StoryError: It is not.
        """
        if not truth:
            raise StoryError(f"not true: {claim}. {otherwise}".strip())
        self.console.print(f"   [green]✓[/green] {escape(claim)}", highlight=False, soft_wrap=True)
