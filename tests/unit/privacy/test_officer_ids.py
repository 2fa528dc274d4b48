from hypothesis import given
from hypothesis import strategies as st
from igstats_kit.seal import Sealer
from igstats_privacy.officer_ids import OfficerIds

IDS = OfficerIds(Sealer(b"s" * 32))
NAMES = st.from_regex(r"[a-z][a-z0-9.-]{0,62}", fullmatch=True).filter(lambda name: name != "operator")


@given(NAMES, NAMES)
def test_an_officer_has_one_id_and_nobody_elses(one: str, other: str) -> None:
    assert (IDS.of(one) == IDS.of(other)) is (one == other)
    assert len(IDS.of(one)) == len("off_") + 32


@given(NAMES)
def test_without_our_key_the_id_is_another(name: str) -> None:
    assert OfficerIds(Sealer(b"t" * 32)).of(name) != IDS.of(name)


def test_a_certificate_that_names_nobody_says_so() -> None:
    assert IDS.of("operator") == "operator"
