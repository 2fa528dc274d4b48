import asyncio

from igstats_privacy.changes import Changes


async def test_watchers_of_a_request_are_woken_and_others_are_not() -> None:
    changes = Changes()
    with changes.watch("req_1") as one, changes.watch("req_1") as twin, changes.watch("req_2") as other:
        changes.publish(["req_1", "req_3"])
        await asyncio.gather(one.wait(), twin.wait())
        assert not other.is_set()


def test_nothing_is_kept_for_requests_that_nobody_watches() -> None:
    changes = Changes()
    with changes.watch("req_1"), changes.watch("req_1"):
        pass
    changes.publish(["req_1"])
    assert changes._watchers == {}
