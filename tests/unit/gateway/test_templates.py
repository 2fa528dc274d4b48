import pytest
from igstats_gateway.templates import parse


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("/v1/profiles", "/v1/profiles", {}),
        ("/v1/profiles/{profile}", "/v1/profiles/natgeo", {"profile": "natgeo"}),
        ("/v1/profiles/{profile}", "/v1/profiles/a%2Fb%3Ac%20%C3%A9", {"profile": "a/b:c é"}),
        ("/v1/profiles/{profile}/media", "/v1/profiles/x/media", {"profile": "x"}),
        ("/v1/c/{connection_id}:sync", "/v1/c/cxn_1:sync", {"connection_id": "cxn_1"}),
        ("/v1/{subject.username}/x", "/v1/me/x", {"subject.username": "me"}),
        ("/v1/a.b/{c}", "/v1/a.b/%2e%2e", {"c": ".."}),
    ],
)
def test_a_path_gives_its_values_decoded_segment_by_segment(template: str, path: str, values: dict[str, str]) -> None:
    assert parse(template).match(path) == values


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/v1/profiles", "/v1/profiles/"),
        ("/v1/profiles/{profile}", "/v1/profiles/"),
        ("/v1/profiles/{profile}", "/v1/profiles/a/b"),
        ("/v1/profiles/{profile}", "/v1/profiles/a:sync"),
        ("/v1/c/{connection_id}:sync", "/v1/c/cxn_1"),
        ("/v1/c/{connection_id}:sync", "/v1/c/cxn_1%3Async"),
        ("/v1/a.b", "/v1/aXb"),
        ("/v1/profiles", "/V1/profiles"),
    ],
)
def test_other_paths_do_not_match(template: str, path: str) -> None:
    assert parse(template).match(path) is None


def test_a_value_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        parse("/v1/{a}").match("/v1/%ff")


@pytest.mark.parametrize("template", ["v1/x", "/v1/{a=x/*}", "/v1/**", "/v1/{A}", "/v1/{a}{b}", "/v1/{a}:", "/", ""])
def test_template_forms_that_we_do_not_use_stop_the_start(template: str) -> None:
    with pytest.raises(ValueError, match="unsupported"):
        parse(template)
