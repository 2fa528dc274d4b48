"""The words of the doors are those of the protos."""

from enum import StrEnum
from typing import Any

import pytest
from igstats.holder.v1.identifier_pb2 import IdentifierKind
from igstats.holder.v1.task_pb2 import Right as RightMessage
from igstats.privacy.v1.request_pb2 import Regime as RegimeMessage
from igstats.privacy.v1.request_pb2 import Request, RequestState
from igstats_gateway.doors import messages
from igstats_gateway.doors.model import FINAL, Identifier, Kind, Opened, Regime, Right, State, Wish


@pytest.mark.parametrize(
    ("words", "enum", "prefix", "missing"),
    [
        (Right, RightMessage, "RIGHT_", {"UNSPECIFIED", "PREVIEW"}),
        (Kind, IdentifierKind, "IDENTIFIER_KIND_", {"UNSPECIFIED"}),
        (Regime, RegimeMessage, "REGIME_", set()),
        (State, RequestState, "REQUEST_STATE_", {"UNSPECIFIED"}),
    ],
)
def test_the_words_of_the_doors_are_those_of_the_protos(
    words: type[StrEnum], enum: Any, prefix: str, missing: set[str]
) -> None:
    assert {str(one) for one in words} == {name.removeprefix(prefix) for name in enum.keys()} - missing  # noqa: SIM118 - an enum of protobuf is no dict


def test_a_name_of_a_person_is_never_shown_by_repr() -> None:
    wish = Wish("web", "key-12345", Right.ERASURE, (Identifier(Kind.EMAIL, "ann@example.com"),), reply_address="a@b.c")
    assert "ann@" not in repr(wish)
    assert "a@b.c" not in repr(wish)


@pytest.mark.parametrize("state", State)
def test_a_request_is_final_exactly_when_nothing_leaves_its_state(state: State) -> None:
    message = Request(state=RequestState.Value(f"REQUEST_STATE_{state}"), right=RightMessage.RIGHT_ERASURE)
    read: Opened = messages.read_request(message)
    assert read.final == (state in FINAL)
    assert read.state is state
    assert read.wait == ""
