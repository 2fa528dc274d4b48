"""The disclosure of categories covers whatever any service declares, and says that nothing is sold."""

from collections.abc import Iterator

import pytest
from igstats.holder.v1.description_pb2 import HolderDescription
from igstats_audit.tables import DECLARATIONS as AUDIT
from igstats_gateway.declarations import DECLARATIONS as GATEWAY
from igstats_kit.describe import describe
from igstats_privacy.categories import disclosed, group
from igstats_privacy.declarations import DECLARATIONS as PRIVACY
from igstats_privacy.messages import held_fields
from igstats_stats.tables import DECLARATIONS as STATS

HOLDERS = {"gateway": GATEWAY, "stats": STATS, "privacy": PRIVACY, "audit": AUDIT}
POLICY = {"identifiers", "usage data", "commercial information", "internet activity"}


def descriptions() -> Iterator[HolderDescription]:
    for name, declarations in HOLDERS.items():
        yield describe(name, declarations)


def test_every_declared_field_belongs_to_a_category_of_the_policy() -> None:
    fields = [held for one in descriptions() for held in held_fields(one)]
    assert {group(one.key) for one in fields} == POLICY


def test_every_category_says_where_from_why_and_how_long_and_that_it_is_not_sold() -> None:
    for category in disclosed(held for one in descriptions() for held in held_fields(one)):
        assert category.keys, category.name
        assert category.sources, category.name
        assert category.purposes, category.name
        assert category.retentions, category.name
        assert not category.sold


def test_a_key_that_no_category_covers_is_refused() -> None:
    with pytest.raises(LookupError):
        group("weather.rain")
