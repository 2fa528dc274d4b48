"""Whatever can keep data from erasure has plain words for the person whose data it is."""

from buf.validate import validate_pb2
from igstats.privacy.v1.decision_service_pb2 import DenialReason, PlaceHoldRequest
from igstats_audit.tables import DECLARATIONS as AUDIT
from igstats_gateway.declarations import DECLARATIONS as GATEWAY
from igstats_gateway.doors import language
from igstats_privacy.declarations import DECLARATIONS as PRIVACY
from igstats_privacy.status.words import GROUNDS
from igstats_stats.tables import DECLARATIONS as STATS


def test_the_grounds_with_words_are_those_that_holds_and_declarations_give() -> None:
    rules = PlaceHoldRequest.DESCRIPTOR.fields_by_name["ground"].GetOptions().Extensions[validate_pb2.field]
    holds = set(getattr(rules.string, "in"))
    assert holds
    stores = [store for one in (AUDIT, GATEWAY, PRIVACY, STATS) for _, store in one.stores()]
    for name, _ in language.LANGUAGES:
        told = {key.removeprefix("ground.") for key in language.of(name).texts if key.startswith("ground.")}
        assert told - {"other"} == set(GROUNDS)
    assert set(GROUNDS) == holds | {store.on_erase.ground for store in stores if store.on_erase.ground}


def test_every_reason_of_a_refusal_has_words_in_every_language() -> None:
    reasons = {name.removeprefix("DENIAL_REASON_") for name in DenialReason.keys()} - {"UNSPECIFIED"}  # noqa: SIM118 - an enum of protobuf
    for name, _ in language.LANGUAGES:
        assert reasons == {
            key.removeprefix("refusal.") for key in language.of(name).texts if key.startswith("refusal.")
        }
