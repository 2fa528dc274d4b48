from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_gateway.limits import Limits, fields, minute, require_granted
from igstats_gateway.model import Policy, Spending
from igstats_kit.errors import DomainError, Reason
from igstats_kit.testing.clock import FakeClock


def test_fields_are_structured_as_the_draft_says() -> None:
    spending = Spending(minute(100), granted=True, cost=1, full_in=18.0)
    assert fields(spending) == {"ratelimit-policy": '"minute";q=100;w=60', "ratelimit": '"minute";r=70;t=18'}


def test_a_refused_call_is_told_when_it_fits() -> None:
    spending = Spending(minute(60), granted=False, cost=10, full_in=55.5)
    with pytest.raises(DomainError) as caught:
        require_granted(spending)
    assert caught.value.reason is Reason.RATE_LIMITED
    assert caught.value.retry_after == 6
    assert caught.value.metadata == {"policy": "minute"}
    assert fields(spending)["ratelimit"] == '"minute";r=4;t=6'


@given(st.integers(10, 100_000), st.integers(1, 10), st.floats(0, 120))
def test_what_remains_and_the_wait_are_never_nonsense(quota: int, cost: int, full_in: float) -> None:
    granted = full_in <= 60
    spending = Spending(minute(quota), granted=granted, cost=cost, full_in=full_in)
    assert 0 <= spending.remaining <= quota
    assert spending.wait >= (0 if granted else 1)


async def test_an_account_that_is_gone_has_no_key_any_more() -> None:
    async def nobody(_account_id: str, _policy: Policy, _cost: int, _now: datetime) -> None:
        return None

    with pytest.raises(DomainError) as caught:
        await Limits(nobody, minute(60), FakeClock()).spend("acc_1", 1)
    assert caught.value.reason is Reason.API_KEY_UNKNOWN
