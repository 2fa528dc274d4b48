"""The terminal: whatever a table or a line is made of, nobody else's text steers it."""

from typing import IO, Any

from rich.console import Console
from rich.text import Text

from igstats_client.printing import printable


class Screen(Console):
    """Where everything for people is printed. A text is one line: what would begin another, or more, is escaped.

    Lines are not cut: half an id helps nobody.
    """

    def __init__(self, file: IO[str] | None = None, width: int | None = None) -> None:
        super().__init__(file=file, width=width, soft_wrap=True, highlight=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 - rich's own options
        """The text as rich shows it: every string comes by here, also the cells of tables."""
        return super().render_str(printable(text), **options)
