"""Schemas from declarations, and posts in the form of the Data Transfer Project."""

import json
from typing import Any

import pytest
from igstats_audit.tables import DECLARATIONS as AUDIT
from igstats_gateway.declarations import DECLARATIONS as GATEWAY
from igstats_kit.declare import Declarations
from igstats_kit.describe import describe
from igstats_privacy.declarations import DECLARATIONS as PRIVACY
from igstats_privacy.model import Right
from igstats_privacy.packages import activities, described
from igstats_privacy.packages.dataset import Dataset, schema
from igstats_stats.tables import DECLARATIONS as STATS
from jsonschema import Draft202012Validator, ValidationError

HOLDERS = {"audit": AUDIT, "gateway": GATEWAY, "privacy": PRIVACY, "stats": STATS}
POST = {
    "media_id": "1",
    "posted_at": "2026-07-01T12:00:00+00:00",
    "caption": "Hi",
    "permalink": "https://instagram.com/p/1",
}


def dataset(holder: str, store: str, right: Right = Right.ACCESS) -> Dataset:
    description = describe(holder, HOLDERS[holder]).SerializeToString()
    return described.dataset(description, holder, store, right)


@pytest.mark.parametrize(("holder", "declarations"), HOLDERS.items())
def test_every_store_of_every_holder_has_a_sound_schema(holder: str, declarations: Declarations) -> None:
    for table, _ in declarations.stores():
        made = schema(dataset(holder, table.name))
        Draft202012Validator.check_schema(made)
        assert all("type" in found for found in made["properties"].values())


def test_a_schema_refuses_what_was_not_declared() -> None:
    made = Draft202012Validator(schema(dataset("gateway", "accounts")))
    row: dict[str, Any] = {"account_id": "acc_1", "company": "Ada Ltd", "created_at": "2026-07-01T12:00:00+00:00"}
    made.validate(row)
    for wrong in (row | {"secret": 1}, row | {"company": None}, {"account_id": "acc_1"}):
        with pytest.raises(ValidationError):
            made.validate(wrong)


def test_what_we_concluded_or_counted_over_many_is_not_taken_along() -> None:
    taken = {field.name for field in dataset("stats", "audience_slices", Right.PORTABILITY).fields}
    assert "slices" in {field.name for field in dataset("stats", "audience_slices").fields}
    assert "slices" not in taken


def test_calls_are_described_with_what_an_export_opens() -> None:
    fields = {field.name: field.category for field in dataset("audit", "calls").fields}
    assert (fields["ip_address"], fields["user_agent"]) == ("user.device.ip_address", "user.device")


def test_a_store_that_nobody_describes_has_a_schema_that_refuses_nothing() -> None:
    made = schema(dataset("stats", "unknown"))
    Draft202012Validator(made).validate({"anything": 1})


@pytest.mark.parametrize("author", [{}, {"instagram_user_id": "178", "username": "ada", "name": "Ada"}])
def test_a_post_is_a_social_activity_of_the_data_transfer_project(author: dict[str, str]) -> None:
    made = activities.activity(POST, author)
    Draft202012Validator.check_schema(activities.activity_schema())
    Draft202012Validator(activities.activity_schema()).validate(made)
    assert made["@type"] == "SocialActivity"
    assert made["activity"]["published"] == POST["posted_at"]
    assert json.dumps(made)


def test_an_activity_without_its_type_is_refused() -> None:
    made = activities.activity(POST, {})
    del made["activity"]["@type"]
    with pytest.raises(ValidationError):
        Draft202012Validator(activities.activity_schema()).validate(made)
