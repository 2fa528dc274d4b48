"""What is logged can be read: constant events, and only fields that the log prints."""

import ast
from collections.abc import Iterator

import pytest
from codebase import python_files, tree
from igstats_kit import log

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def lines_logged(name: str) -> Iterator[ast.Call]:
    """Calls of a level on something that is named like a logger."""
    for node in ast.walk(tree(name)):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="_log" | "log"), attr=level)) if level in LEVELS:
                yield node


LOGGING = [name for name in python_files(("kit", "services")) if any(lines_logged(name))]


@pytest.mark.parametrize("name", LOGGING)
def test_every_logged_field_is_on_the_list_of_the_log(name: str) -> None:
    given = {keyword.arg for call in lines_logged(name) for keyword in call.keywords}
    assert given - log.FIELDS - {"exc_info", None} == set()


@pytest.mark.parametrize("name", LOGGING)
def test_every_event_is_a_constant_that_is_printed(name: str) -> None:
    events = [call.args[0] for call in lines_logged(name)]
    texts = [event.value if isinstance(event, ast.Constant) else ast.unparse(event) for event in events]
    assert [text for text in texts if log.harmless("event", text) != text] == []
