from igstats.event.v1.events_pb2 import RequestsChanged, RequestsClosed, TasksOffered
from igstats_kit.testing.clock import START
from igstats_privacy import events
from igstats_privacy.lifecycle import PHASES
from igstats_privacy.model import Change, HolderWord, Outcome, Phase, Right, State, TaskKey


def test_offers_are_cut_into_messages_of_512_tasks_per_holder() -> None:
    keys = [TaskKey(f"req_{number}", holder, Phase.FENCE) for number in range(600) for holder in ("gateway", "stats")]
    facts = events.tasks_offered(keys)
    assert [subject for subject, _ in facts] == [
        f"igstats.privacy.v1.task.{holder}" for holder in ("gateway", "gateway", "stats", "stats")
    ]
    offers = [message for _, message in facts if isinstance(message, TasksOffered)]
    assert [len(offer.task_ids) for offer in offers] == [512, 88, 512, 88]
    assert offers[2].task_ids[0] == "req_0/stats/FENCE"


def test_from_its_erasure_on_every_task_of_a_held_request_is_to_be_leased_anew_and_none_of_others() -> None:
    keys = [TaskKey(name, "stats", phase) for name in ("req_1", "req_2") for phase in PHASES[Right.ERASURE]]
    ((_, offer),) = events.tasks_offered(keys, {"req_1"})
    assert isinstance(offer, TasksOffered)
    assert offer.fresh_task_ids == ["req_1/stats/ERASE", "req_1/stats/SWEEP", "req_1/stats/ATTEST"]


def test_changes_of_one_transaction_travel_together() -> None:
    changes = [Change("req_1", None, State.RECEIVED), Change("req_2", State.FENCING, State.EXECUTING)]
    ((subject, message),) = events.requests_changed(changes, START)
    assert subject == "igstats.privacy.v1.request.changed"
    assert isinstance(message, RequestsChanged)
    assert [(one.request_id, one.old_state, one.new_state) for one in message.changes] == [
        ("req_1", "REQUEST_STATE_UNSPECIFIED", "REQUEST_STATE_RECEIVED"),
        ("req_2", "REQUEST_STATE_FENCING", "REQUEST_STATE_EXECUTING"),
    ]
    assert events.requests_changed([], START) == []


def test_a_closing_of_a_request_that_nobody_worked_on_lists_no_word() -> None:
    closed = {"req_1": State.FULFILLED, "req_2": State.WITHDRAWN}
    words = {"req_1": [HolderWord("stats", Outcome.NOT_HELD, b"d" * 32)]}
    ((_, message),) = events.requests_closed(closed, words, START)
    assert isinstance(message, RequestsClosed)
    done, withdrawn = message.closings
    assert [(word.holder, word.outcome) for word in done.holders] == [("stats", "OUTCOME_NOT_HELD")]
    assert (withdrawn.state, len(withdrawn.holders)) == ("REQUEST_STATE_WITHDRAWN", 0)


def test_the_publisher_stands_in_the_subject() -> None:
    assert events.publisher("igstats.stats.v1.receipt.issued") == "stats"
