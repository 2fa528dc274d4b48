from collections.abc import AsyncIterator

from igstats.api.v1.request_service_pb2 import PrivacyRequest, Step, WatchRequestResponse
from igstats_dev.demo import watch
from rich.console import Console


def request(state: str, *steps: Step) -> WatchRequestResponse:
    return WatchRequestResponse(request=PrivacyRequest(reference="7K2Q-M4TD", state=state, steps=steps))


async def changes() -> AsyncIterator[WatchRequestResponse]:
    fence = Step(holder="stats", phase="FENCE", state="SETTLED", outcome="ERASED")
    yield request("FENCING", fence, Step(holder="stats", phase="ERASE", state="PLANNED"))
    erased = Step(holder="stats", phase="ERASE", state="SETTLED", outcome="ERASED", counts={"profiles": 1, "days": 40})
    blocked = Step(holder="audit", phase="ERASE", state="BLOCKED", explanation="its disk is full")
    yield request("EXECUTING", fence, erased, blocked)


async def test_the_last_state_is_shown_by_holder_and_phase() -> None:
    console = Console(record=True, width=120)
    last = await watch.follow(console, changes())
    assert last.state == "EXECUTING"
    shown = console.export_text()
    assert "7K2Q-M4TD is EXECUTING" in shown
    assert "ERASED 41 rows" in shown
    assert "needs a person its disk is full" in shown
