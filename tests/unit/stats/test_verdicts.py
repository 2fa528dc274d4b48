from collections.abc import Callable
from typing import Any

import pytest
from igstats_stats.verdicts import GraphError, Usage, Verdict, graph_error, usage, verdict

Read = Callable[[str], Any]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("errors/100_33_object_missing.json", Verdict.GONE),
        ("errors/100_2108006_posted_before_business.json", Verdict.POSTED_BEFORE_CONVERSION),
        ("errors/190_460.json", Verdict.TOKEN_DEAD),
        ("errors/80002_instagram_buc.json", Verdict.BLOCK_ACCOUNT),
        ("pyfacebook/base/error.json", Verdict.PERMISSION),
        ("restfb/instagram/ig_login_exception.json", Verdict.REFUSED),
        ("restfb/exampleOauthError.json", Verdict.REFUSED),
    ],
)
def test_public_error_samples_get_the_right_verdict(sample: Read, name: str, expected: Verdict) -> None:
    error = graph_error(sample(name))
    assert error is not None
    assert verdict(error) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (GraphError(1), Verdict.RETRY),
        (GraphError(1, message="Please reduce the amount of data you're asking for"), Verdict.SHRINK),
        (GraphError(2, transient=True), Verdict.RETRY),
        (GraphError(4), Verdict.BLOCK_APP),
        (GraphError(341), Verdict.BLOCK_APP),
        (GraphError(17), Verdict.BLOCK_ACCOUNT),
        (GraphError(32), Verdict.BLOCK_ACCOUNT),
        (GraphError(613), Verdict.BLOCK_ACCOUNT),
        (GraphError(368), Verdict.BLOCK_ACCOUNT),
        (GraphError(4, transient=True), Verdict.BLOCK_APP),
        (GraphError(10, message="(#10) Not enough viewers for the media to show insights"), Verdict.BELOW_THRESHOLD),
        (GraphError(10, message="(#10) Application does not have permission"), Verdict.PERMISSION),
        (GraphError(200), Verdict.PERMISSION),
        (GraphError(299), Verdict.PERMISSION),
        (GraphError(100, message="(#100) ... does not support the views metric"), Verdict.BAD_PARAMETER),
        (GraphError(102), Verdict.TOKEN_DEAD),
        *((GraphError(190, subcode), Verdict.TOKEN_DEAD) for subcode in (458, 459, 460, 463, 464, 467)),
        (GraphError(104), Verdict.REFUSED),
        (GraphError(110, 2207013), Verdict.REFUSED),
        (GraphError(99999, transient=True), Verdict.RETRY),
    ],
)
def test_codes_decide_and_transience_only_where_no_code_does(error: GraphError, expected: Verdict) -> None:
    assert verdict(error) is expected


def test_the_first_part_of_a_batch_answer_is_an_ordinary_error_body(sample: Read) -> None:
    parts = sample("restfb/batch-first-error.json")
    headers = {header["name"]: header["value"] for header in parts[0]["headers"]}
    assert usage(headers) == Usage(app_percent=2)


@pytest.mark.parametrize("payload", [None, [], "x", {}, {"data": []}, {"error": "text"}])
def test_what_is_no_error_body_is_no_error(payload: object) -> None:
    assert graph_error(payload) is None


def test_usage_is_the_highest_of_the_three_percents(sample: Read) -> None:
    values = sample("headers/x_app_usage.json")["values"]
    assert [usage({"X-App-Usage": value}).app_percent for value in values] == [28, 2, 10]


def test_only_the_limit_of_instagram_counts_among_business_use_cases(sample: Read) -> None:
    other, ours = sample("headers/x_business_use_case_usage.json")["values"]
    assert usage({"X-Business-Use-Case-Usage": other}) == Usage()
    assert usage({"X-Business-Use-Case-Usage": ours}) == Usage(account_percent=100, regain_minutes=19)


@pytest.mark.parametrize("header", ["", "not json", "[]", '{"1": "x"}', '{"1": [{"type": "instagram"}]}'])
def test_a_malformed_usage_header_counts_as_absent(header: str) -> None:
    assert usage({"X-App-Usage": header, "X-Business-Use-Case-Usage": header}) == Usage()


@pytest.mark.parametrize(("percent", "slow", "stop"), [(74, False, False), (75, True, False), (90, True, True)])
def test_calls_slow_down_at_75_percent_and_stop_at_90(percent: int, *, slow: bool, stop: bool) -> None:
    assert (Usage(app_percent=percent).slow, Usage(account_percent=percent).stop) == (slow, stop)
