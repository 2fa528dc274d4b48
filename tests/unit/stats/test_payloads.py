from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from igstats_stats import days, payloads
from igstats_stats.model import Count, Missing
from igstats_stats.payloads import PayloadError

Read = Callable[[str], Any]


def test_a_profile_without_follows_says_that_the_number_is_absent(sample: Read) -> None:
    found = payloads.user(sample("pyfacebook/users/user_fields.json"))
    assert (found.instagram_user_id, found.username) == ("17841407673135339", "facebookfordevelopers")
    assert (found.followers, found.follows, found.media) == (64363, None, 427)
    assert found.biography.startswith("Follow us")


def test_a_numeric_legacy_id_is_not_taken_for_the_profile_id(sample: Read) -> None:
    found = payloads.user(sample("pyfacebook/models/ig_user.json"))
    assert found.instagram_user_id == "17841407673135339"
    assert found.follows == 16


def test_instagram_login_names_the_professional_account_in_user_id() -> None:
    found = payloads.user({"id": "9000", "user_id": 17841400000000001, "username": "Somebody"})
    assert found.instagram_user_id == "17841400000000001"
    assert found.username == "somebody"


@pytest.mark.parametrize("payload", [[], None, "text", {}, {"id": ""}, {"id": True}])
def test_an_answer_that_is_no_profile_is_refused(payload: object) -> None:
    with pytest.raises(PayloadError):
        payloads.user(payload)


def test_a_first_page_gives_the_cursor_of_the_next_and_never_an_address(sample: Read) -> None:
    page = payloads.media_page(sample("pyfacebook/users/medias_p1.json"))
    assert page.after == "after"
    assert [item.media_id for item in page.items] == ["17895731045244887", "17896622936197745"]
    assert page.items[0].likes == Count(0)
    assert page.items[0].posted_at == datetime(2021, 8, 13, 8, 25, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    "name",
    [
        "pyfacebook/users/medias_p2.json",  # both cursors, no next
        "airbyte/media_carousel_page_last.json",  # only before
        "pyfacebook/users/tagged_medias.json",  # no paging
        "pyfacebook/stories/stories_default.json",
    ],
)
def test_every_form_of_a_last_page_ends_the_walk(sample: Read, name: str) -> None:
    page = payloads.media_page(sample(name))
    assert page.items
    assert page.after == ""


def test_a_next_address_without_cursors_still_gives_its_cursor() -> None:
    page = payloads.media_page({"data": [], "paging": {"next": "https://elsewhere.example/x?after=abc&access_token=t"}})
    assert page.after == "abc"


def test_stories_do_not_say_their_product_type_so_the_edge_does(sample: Read) -> None:
    with pytest.raises(PayloadError):  # the sample asked for few fields: no timestamp
        payloads.media_page(sample("pyfacebook/stories/stories_fields_p1.json"))
    page = payloads.media_page(sample("pyfacebook/stories/stories_default.json"), product_type="STORY")
    assert {item.product_type for item in page.items} == {"STORY"}


@pytest.mark.parametrize(
    "name",
    ["medias/media_default.json", "models/ig_media.json", "stories/story_info.json"],
)
def test_a_single_media_item_is_read_with_its_caption(sample: Read, name: str) -> None:
    found = payloads.media(sample(f"pyfacebook/{name}"))
    assert found.media_id
    assert found.caption


def test_a_media_item_says_its_product_type_likes_and_comments(sample: Read) -> None:
    found = payloads.media_page(sample("airbyte/media_carousel_page_last.json")).items[0]
    assert (found.media_type, found.product_type) == ("CAROUSEL_ALBUM", "FEED")
    assert (found.likes, found.comments) == (Count(8), Count(0))
    plain = payloads.media(sample("restfb/instagram/media-image.json"))
    assert (plain.likes, plain.product_type) == (Count(0), "")


def test_concealed_likes_are_missing_and_not_zero() -> None:
    found = payloads.media({"id": "1", "timestamp": "2026-01-01T00:00:00+0000", "comments_count": 3})
    assert found.likes == Count(missing=Missing.HIDDEN_BY_OWNER)
    assert found.comments == Count(3)


@pytest.mark.parametrize("timestamp", [None, 5, "yesterday", "2026-01-01T00:00:00"])
def test_a_time_without_an_offset_is_refused(timestamp: object) -> None:
    with pytest.raises(PayloadError):
        payloads.media({"id": "1", "timestamp": timestamp})


def test_a_user_series_belongs_to_los_angeles_days(sample: Read) -> None:
    reach = {insight.name: insight for insight in payloads.insights(sample("pyfacebook/users/user_insights.json"))}[
        "reach"
    ]
    by_day = {days.metric_day(item.end_time): item.value for item in reach.samples if item.end_time}
    assert by_day == {date(2017, 5, 3): 3, date(2017, 5, 4): 36}


def test_a_daily_series_of_two_metrics_is_read(sample: Read) -> None:
    found = payloads.insights(sample("airbyte/user_insights_day.json"))
    assert [(insight.name, insight.value) for insight in found] == [("follower_count", 1000), ("reach", 500)]


def test_a_total_with_a_breakdown_has_no_values_list(sample: Read) -> None:
    (reach,) = payloads.insights(sample("meta-docs/reach_total_value_by_media_product_type.json"))
    assert (reach.value, reach.samples) == (224, ())
    assert payloads.distribution(reach, "media_product_type") == {"CAROUSEL_CONTAINER": 100, "POST": 124}


def test_demographics_have_slices_but_no_total(sample: Read) -> None:
    (found,) = payloads.insights(sample("meta-docs/engaged_audience_demographics_country.json"))
    assert found.value is None
    assert payloads.total(found) == Count(missing=Missing.EMPTY)
    countries = payloads.distribution(found, "country")
    assert countries["US"] == 7
    assert sum(countries.values()) == 20
    assert payloads.distribution(found, "city") == {}


@pytest.mark.parametrize(
    ("name", "total", "first"),
    [
        ("restfb/ig-breakdown-insight.json", 25, ("tap_forward", 19)),  # one bare metric, no list
        ("meta-docs/profile_activity_by_action_type.json", 4, ("email", 1)),
    ],
)
def test_values_and_totals_may_come_together(sample: Read, name: str, total: int, first: tuple[str, int]) -> None:
    (found,) = payloads.insights(sample(name))
    assert found.value == total
    assert (next(iter(found.slices[0].dimensions.values())), found.slices[0].value) == first


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("pyfacebook/medias/insights.json", {"impressions": 8, "reach": 5, "saved": 0}),
        ("airbyte/story_insights.json", {"replies": 0, "reach": 105, "profile_visits": 23}),
        ("airbyte/media_insights_for_reels.json", {"ig_reels_avg_watch_time": 12549, "reach": 2006, "likes": 108}),
    ],
)
def test_media_insights_are_one_number_a_metric(sample: Read, name: str, values: dict[str, int]) -> None:
    found = {insight.name: insight.value for insight in payloads.insights(sample(name))}
    assert found | values == found


def test_online_followers_is_a_map_by_hour_and_may_be_empty() -> None:
    end = "2026-09-01T07:00:00+0000"
    values = [{"value": {}, "end_time": end}, {"value": {"9": 20, "12": 100}, "end_time": end}]
    (found,) = payloads.insights({"data": [{"name": "online_followers", "period": "lifetime", "values": values}]})
    assert [item.value for item in found.samples] == [{}, {"9": 20, "12": 100}]
    assert found.value is None


def test_insights_expanded_inside_a_media_item_are_read() -> None:
    expanded = {"id": "1", "insights": {"data": [{"name": "reach", "period": "lifetime", "values": [{"value": 3}]}]}}
    assert [insight.value for insight in payloads.insights(expanded)] == [3]


@pytest.mark.parametrize("value", [None, "5", True, 1.5, [1]])
def test_a_value_that_is_no_whole_number_is_missing_and_harms_no_other(value: object) -> None:
    odd = {"name": "odd", "period": "day", "values": [{"value": value}]}
    good = {"name": "good", "period": "day", "values": [{"value": 2.0}]}
    found = payloads.insights({"data": [odd, good]})
    assert [payloads.total(insight) for insight in found] == [Count(missing=Missing.EMPTY), Count(2)]


def test_an_empty_answer_is_empty_and_not_zero() -> None:
    assert payloads.insights({"data": []}) == ()
    assert payloads.total(None) == Count(missing=Missing.EMPTY)


def test_a_count_is_a_value_or_a_reason_and_never_both_or_neither() -> None:
    with pytest.raises(ValueError, match="value or a reason"):
        Count()
    with pytest.raises(ValueError, match="value or a reason"):
        Count(1, Missing.EMPTY)


def test_text_loses_only_what_a_database_cannot_store() -> None:
    found = payloads.media({"id": "1", "timestamp": "2026-01-01T00:00:00+0000", "caption": "a\x00b 🧀"})
    assert found.caption == "ab 🧀"
