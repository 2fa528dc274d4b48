"""An account is opted out once, beside its calls."""

from igstats_gateway.doors.model import Wish
from igstats_gateway.doors.signals import Signals, wish
from igstats_kit.errors import DomainError, Reason


class Desk:
    """Remembers wishes; refuses while it is down."""

    def __init__(self) -> None:
        self.wishes: list[Wish] = []
        self.down = False

    async def open(self, asked: Wish) -> None:
        if self.down:
            raise DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="privacy")
        self.wishes.append(asked)


async def test_an_account_is_opted_out_once_however_often_it_calls() -> None:
    desk = Desk()
    signals = Signals(desk.open)
    for _ in range(3):
        signals.hear("acc_1")
        signals.hear("acc_2")
        await signals.settle()
    assert desk.wishes == [wish("acc_1"), wish("acc_2")]


async def test_what_failed_is_done_with_the_next_call() -> None:
    desk = Desk()
    desk.down = True
    signals = Signals(desk.open)
    signals.hear("acc_1")
    await signals.settle()
    desk.down = False
    signals.hear("acc_1")
    await signals.settle()
    assert desk.wishes == [wish("acc_1")]


async def test_a_process_that_forgot_asks_for_the_same_request() -> None:
    assert wish("acc_1").idempotency_key == wish("acc_1").idempotency_key != wish("acc_2").idempotency_key
