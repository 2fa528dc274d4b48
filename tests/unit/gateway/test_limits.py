from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_gateway.limits import AddressLimits, Limits, fields, minute, require_granted
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


def test_an_address_has_its_allowance_and_gets_it_back() -> None:
    clock = FakeClock()
    limits = AddressLimits(minute(3), clock)
    assert [limits.spend("192.0.2.1").granted for _ in range(4)] == [True, True, True, False]
    assert limits.spend("192.0.2.1").wait == 20
    assert limits.spend("192.0.2.2").remaining == 2
    clock.advance(timedelta(seconds=20))
    assert limits.spend("192.0.2.1").granted


def test_a_refused_call_costs_an_address_nothing() -> None:
    clock = FakeClock()
    limits = AddressLimits(minute(1), clock)
    for _ in range(5):
        limits.spend("192.0.2.1")
    clock.advance(timedelta(minutes=1))
    assert limits.spend("192.0.2.1").granted


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("", "testclient", False),
    ],
)
def test_whoever_has_a_network_has_one_allowance(one: str, other: str, same: bool) -> None:  # noqa: FBT001 - a case
    limits = AddressLimits(minute(1), FakeClock())
    limits.spend(one)
    assert limits.spend(other).granted is not same


def test_the_address_seen_longest_ago_is_forgotten_first() -> None:
    limits = AddressLimits(minute(1), FakeClock(), capacity=2)
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.3"):
        limits.spend(address)
    assert not limits.spend("192.0.2.1").granted
    assert limits.spend("192.0.2.2").granted
