import pytest
from igstats_gateway.commands import Arguments, parse, scopes
from igstats_gateway.model import Billing, Contact


@pytest.mark.parametrize("command", ["serve", "migrate", "check"])
def test_plain_commands_take_nothing(command: str) -> None:
    assert parse([command]) == Arguments(command)


def test_an_account_is_made_with_every_scope_unless_told_otherwise() -> None:
    given = parse(["account", "create", "--company", "Ann's", "--email", "ann@example.com"])
    assert given == Arguments("account create", "Ann's", Contact("", "ann@example.com", ""), scopes())
    given = parse(
        ["account", "create", "--company", "A", "--email", "a@b", "--scopes", "stats:read", "--billing-name", "Ann"]
    )
    assert (given.scopes, given.billing) == (("stats:read",), Billing(name="Ann"))


def test_an_answer_to_the_platform_is_corrected_by_item_and_outcome() -> None:
    assert parse(["drop", "amend", "A7kP2xQ9Lm4R", "exempted"]) == Arguments(
        "drop amend", item="A7kP2xQ9Lm4R", outcome="exempted"
    )


def test_a_key_is_made_of_an_account_with_every_scope_and_without_an_end_unless_told_otherwise() -> None:
    given = parse(["key", "create", "acc_1"])
    assert given == Arguments("key create", scopes=scopes(), account_id="acc_1", label="made by an operator")
    given = parse(["key", "create", "acc_1", "--scopes", "keys:write", "--label", "new", "--days", "30"])
    assert (given.scopes, given.label, given.days) == (("keys:write",), "new", 30)


def test_a_key_is_revoked_by_its_id() -> None:
    assert parse(["key", "revoke", "Ab3dE6gH"]) == Arguments("key revoke", key_id="Ab3dE6gH")


@pytest.mark.parametrize("days", ["0", "-1", "soon", "3651"])
def test_a_key_that_would_end_at_once_or_hardly_ever_is_refused(days: str) -> None:
    with pytest.raises(SystemExit):
        parse(["key", "create", "acc_1", "--days", days])


@pytest.mark.parametrize(
    "argv", [[], ["nothing"], ["account"], ["account", "create"], ["serve", "now"], ["drop"], ["key"]]
)
def test_anything_else_is_refused(argv: list[str]) -> None:
    with pytest.raises(SystemExit):
        parse(argv)


def test_a_scope_that_no_method_asks_for_is_refused() -> None:
    with pytest.raises(SystemExit):
        parse(["account", "create", "--company", "A", "--email", "a@b", "--scopes", "moon:write"])
