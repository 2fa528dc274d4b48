"""What a proved request waits for, whom it repeats, what gets in its way, what a hold may keep: the rules."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from igstats_privacy.decisions.rules import is_too_wide, unknown_stores
from igstats_privacy.model import Identifier, Right, SubjectClass, Wait
from igstats_privacy.policy import Policy
from igstats_privacy.waits import (
    OWNERS_DOORS,
    REPEATABLE,
    SECOND,
    Case,
    Named,
    after_approval,
    contested,
    inherited,
    is_opposed,
    is_premature,
    next_wait,
    officers_needed,
    repeats,
    subject_class,
)

NOW = datetime(2027, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)

policies = st.builds(
    Policy,
    approve=st.frozensets(st.sampled_from(Right)),
    second_rows=st.integers(0, 100),
    second_tenant=st.booleans(),
    window=st.timedeltas(timedelta(0), 7 * DAY),
    notice=st.timedeltas(timedelta(0), 7 * DAY),
)
cases = st.builds(
    Case,
    right=st.sampled_from(Right),
    door=st.sampled_from(["api", "web", "meta", "drp", "opendsr", "officer"]),
    subject_class=st.sampled_from(SubjectClass),
    is_child=st.booleans(),
    approved=st.booleans(),
)
names = st.builds(
    Named,
    request_id=st.sampled_from(["req_1", "req_2", "req_3", "req_4"]),
    right=st.sampled_from(Right),
    tokens=st.frozensets(st.sampled_from([b"a", b"b", b"c"]), min_size=1),
    due_at=st.datetimes(timezones=st.just(UTC)),
    is_child=st.booleans(),
)


@given(cases)
def test_by_default_nothing_waits_for_anybody(case: Case) -> None:
    assert next_wait(Policy(), case, NOW).wait is Wait.UNSPECIFIED


@given(policies, cases)
def test_what_is_approved_never_waits_for_an_approval_again(policy: Policy, case: Case) -> None:
    wait = next_wait(policy, case, NOW).wait
    if case.approved or case.is_child:
        assert wait in {Wait.UNSPECIFIED, Wait.WINDOW}
    assert (wait is Wait.APPROVAL) == (not case.is_child and not case.approved and bool(officers_needed(policy, case)))


@given(policies, cases)
def test_a_window_is_opened_once_and_ends(policy: Policy, case: Case) -> None:
    found = next_wait(policy, case, NOW)
    if found.wait is Wait.WINDOW and found.until is not None:
        later = Case(case.right, case.door, case.subject_class, case.is_child, case.approved, found.until)
        assert next_wait(policy, later, found.until - timedelta(seconds=1)) == found
        assert next_wait(policy, later, found.until).wait is Wait.UNSPECIFIED


@given(policies, cases)
@example(Policy(notice=DAY), Case(Right.LIFTING, "officer", is_child=True))
def test_only_an_erasure_by_its_owner_or_an_officers_lifting_has_a_window(policy: Policy, case: Case) -> None:
    if next_wait(policy, case, NOW).wait is Wait.WINDOW:
        erasure = case.right is Right.ERASURE and case.door in OWNERS_DOORS and not case.is_child
        assert erasure or (case.right is Right.LIFTING and case.door == "officer")


@given(policies, cases, st.integers(0, 200))
def test_a_count_that_nobody_knows_asks_for_as_many_officers_as_any(policy: Policy, case: Case, rows: int) -> None:
    assert officers_needed(policy, case) >= officers_needed(policy, case, rows)
    assert after_approval(policy, case, SECOND, None) is Wait.UNSPECIFIED


@given(names, st.lists(names))
def test_a_duplicate_has_an_older_first_that_asks_for_all_of_it(request: Named, others: list[Named]) -> None:
    first = repeats(request, others)
    if first is not None:
        assert (first.right, first.request_id < request.request_id) == (request.right, True)
        assert request.tokens <= first.tokens
        assert request.right in REPEATABLE
        assert (request.is_child, first.is_child) == (False, False)
    assert inherited(request, first).due_at <= request.due_at


@given(names, st.lists(names))
def test_rights_that_undo_each_other_are_opposed_either_way(request: Named, others: list[Named]) -> None:
    if is_opposed(request, others):
        assert any(is_opposed(one, [request]) for one in others)


@pytest.mark.parametrize(
    ("kinds", "connected", "expected"),
    [
        (["ACCOUNT_ID", "CONTACT_ID"], False, SubjectClass.TENANT),
        (["CONTACT_ID"], True, SubjectClass.CONTACT),
        (["EMAIL_SHA256"], False, SubjectClass.CONTACT),
        (["APP_USER_ID"], False, SubjectClass.PROFILE_OWNER),
        (["USERNAME"], True, SubjectClass.PROFILE_OWNER),
        (["INSTAGRAM_USER_ID", "USERNAME"], False, SubjectClass.UNCONNECTED_OWNER),
        ([], True, SubjectClass.UNSPECIFIED),
    ],
)
def test_the_widest_name_says_who_the_person_is(
    kinds: list[str],
    connected: bool,  # noqa: FBT001 - a row of the table above
    expected: SubjectClass,
) -> None:
    assert subject_class([Identifier(kind, "x") for kind in kinds], connected=connected) is expected


DESCRIBED = {"stats": frozenset({"profiles", "media"}), "audit": frozenset({"calls"}), "log": frozenset[str]()}


@pytest.mark.parametrize(
    ("groups", "wide"),
    [
        ([("stats", "media")], False),
        ([("stats", "media"), ("stats", "profiles")], True),
        ([("audit", "calls")], False),
        ([("audit", "calls"), ("stats", "media")], False),
    ],
)
def test_a_hold_keeps_stores_and_never_a_person(groups: list[tuple[str, str]], *, wide: bool) -> None:
    assert is_too_wide(groups, DESCRIBED) is wide


def test_the_only_store_of_the_only_holder_is_everything() -> None:
    assert is_too_wide([("audit", "calls")], {"audit": frozenset({"calls"})})


def test_stores_that_nobody_has_are_named() -> None:
    assert unknown_stores([("stats", "media"), ("stats", "x"), ("who", "y")], DESCRIBED) == ["stats/x", "who/y"]


@given(policies, cases, st.sampled_from(Wait))
def test_a_value_is_contested_only_while_an_officer_checks_a_correction_of_a_person(
    policy: Policy, case: Case, wait: Wait
) -> None:
    if contested(policy, case, wait):
        assert (case.right, wait) == (Right.CORRECTION, Wait.APPROVAL)
        assert case.subject_class is not SubjectClass.TENANT


@given(policies, cases)
def test_an_officer_lifts_after_the_notice_whatever_the_lifting_belongs_to(policy: Policy, case: Case) -> None:
    lifting = replace(case, right=Right.LIFTING, door="officer", approved=True)
    found = next_wait(policy, lifting, NOW)
    assert (found.wait is Wait.WINDOW) == bool(policy.notice)
    assert found.until == (NOW + policy.notice if policy.notice else None)


@given(names, st.lists(names))
def test_only_a_lifting_after_a_decision_waits_for_other_values_of_the_same_person(
    request: Named, waiting: list[Named]
) -> None:
    if is_premature(request, waiting):
        assert (request.right, request.is_child) == (Right.LIFTING, True)
        assert any(one.right is Right.CORRECTION and one.tokens & request.tokens for one in waiting)
