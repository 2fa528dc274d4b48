"""Proving who one is, on the real database: codes by mail, Instagram Login, the account's key, and nobody at all."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from igstats.holder.v1.task_pb2 import Right as Sent
from igstats_kit.errors import DomainError, Reason
from igstats_privacy.mailing_store import MOST_A_DAY
from igstats_privacy.model import Identifier, NewRequest, Regime, Right, State
from igstats_privacy.proofs.accounts import SCOPE, Accounts
from igstats_privacy.proofs.challenge import CODE_LIFE
from igstats_privacy.proofs.codes import Codes
from igstats_privacy.proofs.fetching import Fetching
from igstats_privacy.proofs.forgetting import Forgetting
from igstats_privacy.proofs.logins import Logins
from igstats_privacy.proofs.mail_codes import MailCodes
from igstats_privacy.proofs.offers import Offers
from igstats_privacy.proofs.proving import Proving
from igstats_privacy.proofs.rules import Profile
from igstats_privacy.proofs.tables import proofs
from igstats_privacy.shares import Piece
from igstats_privacy.store import Connection
from igstats_privacy.tables import package_links
from sqlalchemy import func, select
from ulid import ULID

from tests.integration.privacy.conftest import ACCOUNT, Office

MAIL = Identifier("EMAIL", "ada@example.com")
HANDLE = Identifier("USERNAME", "ada")


@dataclass
class Letterbox:
    """Keeps what would be sent."""

    is_open: bool = True
    codes: list[str] = field(default_factory=list)

    async def send(
        self,
        _letter: str,
        to: str,
        _language: str,
        values: Mapping[str, str],
        *,
        connection: Connection,
        request_id: str,
    ) -> None:
        assert to == MAIL.value
        self.codes.append(values["code"])


@dataclass
class Instagram:
    """Signs in whom the test says."""

    profile_: Profile = field(default_factory=lambda: Profile("17841400000000001", "ada", "1234", "998877"))

    def authorize_url(self, state: str) -> str:
        return f"https://instagram.example/?state={state}"

    async def profile(self, code: str) -> Profile:
        if code != "good":
            raise DomainError(Reason.LOGIN_STATE_INVALID)
        return self.profile_


class Desk:
    """The room with its ways of proving."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.box = Letterbox()
        self.instagram = Instagram()
        codes = Codes(b"c" * 32)
        self.proving = Proving(
            office.database,
            office.requests,
            office.fanout,
            office.identifiers,
            office.codes,
            office.changes,
            office.clock,
            office.triage.wake,
        )
        self.mail = MailCodes(self.proving, codes, self.box)
        self.logins = Logins(self.proving, codes, self.instagram, office.profiles)
        self.fetching = Fetching(office.database, self.proving, codes, self.instagram, office.links, office.clock)
        self.accounts = Accounts(self.proving, office.profiles)

    async def waiting(self, *named: Identifier, right: Right = Right.ERASURE, regime: Regime = Regime.GDPR) -> str:
        """A request of a stranger that waits for its proof; answers its status code."""
        new = NewRequest(right, "web", "", named, str(ULID()), regime=regime)
        shown = await self.office.requests.open(new)
        await self.office.triage.run_once()
        assert await self.office.state(shown.request.request_id) is State.IDENTITY_PENDING
        return shown.status_code

    async def packaged(self) -> str:
        """An access request under CCPA that its person has proved by signing in, and that has brought a package."""
        status = await self.waiting(HANDLE, right=Right.ACCESS, regime=Regime.CCPA)
        state = (await self.logins.start(status)).partition("state=")[2]
        await self.logins.finish(state, "good")
        await self.office.triage.run_once()
        await self.office.shares.take_one("stats", f"{self.proving.request_id(status)}/stats/EXPORT", _line())
        await self.office.work(Sent.RIGHT_ACCESS)
        assert await self.state(status) is State.FULFILLED
        return status

    async def fetched(self, status: str) -> str:
        """Signs in once more; answers the secret of the link."""
        url = await self.fetching.start(status)
        assert url is not None
        found = await self.fetching.finish(url.partition("state=")[2], "good")
        assert found is not None
        assert found[0].status_code == status
        return found[1]

    async def state(self, code: str) -> State:
        return await self.office.state(self.proving.request_id(code))


async def _line() -> AsyncIterator[Piece]:
    yield Piece("profiles", b'{"number": 1}\n', 1)


@pytest.fixture
async def desk(office: Office) -> Desk:
    office.profiles.connected = False
    await office.register("stats")
    return Desk(office)


async def test_the_code_that_was_sent_proves_the_address_and_triage_goes_on(desk: Desk) -> None:
    status = await desk.waiting(MAIL)
    await desk.mail.send(status)
    shown = await desk.mail.submit(status, desk.box.codes[0])
    assert shown.request.identity_proof == "mail code"
    await desk.office.triage.run_once()
    assert await desk.state(status) is State.FENCING


async def test_asked_twice_at_once_one_code_is_sent(desk: Desk) -> None:
    status = await desk.waiting(MAIL)
    first = await desk.mail.send(status)
    assert await desk.mail.send(status) == first
    assert len(desk.box.codes) == 1
    desk.office.clock.advance(timedelta(minutes=2))
    assert await desk.mail.send(status) > first
    with pytest.raises(DomainError) as refused:
        await desk.mail.submit(status, desk.box.codes[0])
    assert refused.value.reason is Reason.PROOF_CODE_INVALID, "a new code ends the one before"


async def test_an_address_gets_a_bounded_number_of_codes_a_day_and_the_answer_does_not_tell(desk: Desk) -> None:
    for _ in range(MOST_A_DAY + 2):
        status = await desk.waiting(MAIL)
        assert await desk.mail.send(status) == desk.office.clock.now() + CODE_LIFE
    assert len(desk.box.codes) == MOST_A_DAY


async def test_five_wrong_answers_lock_even_for_the_right_one(desk: Desk) -> None:
    status = await desk.waiting(MAIL)
    await desk.mail.send(status)
    wrong = "00000000" if desk.box.codes[0] != "0000 0000" else "00000001"
    reasons = []
    for _ in range(5):
        with pytest.raises(DomainError) as refused:
            await desk.mail.submit(status, wrong)
        reasons.append(refused.value.reason)
    assert reasons == [*[Reason.PROOF_CODE_INVALID] * 4, Reason.PROOF_TRIES_EXHAUSTED]
    with pytest.raises(DomainError) as refused:
        await desk.mail.submit(status, desk.box.codes[0])
    assert refused.value.reason is Reason.PROOF_TRIES_EXHAUSTED
    assert await desk.state(status) is State.IDENTITY_PENDING


async def test_a_code_for_one_request_opens_no_other(desk: Desk) -> None:
    first, second = await desk.waiting(MAIL), await desk.waiting(MAIL)
    await desk.mail.send(first)
    await desk.mail.send(second)
    with pytest.raises(DomainError):
        await desk.mail.submit(second, desk.box.codes[0])
    assert await desk.state(second) is State.IDENTITY_PENDING


async def test_a_mail_code_is_not_enough_when_a_profile_is_named_too(desk: Desk) -> None:
    status = await desk.waiting(MAIL, HANDLE)
    await desk.mail.send(status)
    shown = await desk.mail.submit(status, desk.box.codes[0])
    assert (shown.request.state, shown.request.identity_proof) == (State.IDENTITY_PENDING, "")
    state = (await desk.logins.start(status)).partition("state=")[2]
    shown = await desk.logins.finish(state, "good")
    assert shown.request.identity_proof == "Instagram Login, mail code"


async def test_signing_in_as_somebody_else_proves_nothing_and_a_state_works_once(desk: Desk) -> None:
    status = await desk.waiting(HANDLE)
    desk.instagram.profile_ = Profile("17841400000000002", "eve", "1234", "5")
    state = (await desk.logins.start(status)).partition("state=")[2]
    shown = await desk.logins.finish(state, "good")
    assert shown.request.state is State.IDENTITY_PENDING
    with pytest.raises(DomainError) as refused:
        await desk.logins.finish(state, "good")
    assert refused.value.reason is Reason.LOGIN_STATE_INVALID


async def test_a_sign_in_adds_the_ids_that_the_platform_vouches_for(desk: Desk) -> None:
    status = await desk.waiting(HANDLE)
    state = (await desk.logins.start(status)).partition("state=")[2]
    await desk.logins.finish(state, "good")
    request_id = desk.proving.request_id(status)
    await desk.office.triage.run_once()
    leased = await desk.office.leases.lease("stats", (await desk.office.offered())["stats"])
    named = {one.kind: one.value for one in leased[0].identifiers}
    assert leased[0].task.request_id == request_id
    assert named == {"USERNAME": "ada", "INSTAGRAM_USER_ID": "17841400000000001", "APP_USER_ID": "1234:998877"}


async def test_the_key_of_the_account_proves_what_is_the_accounts(desk: Desk) -> None:
    status = await desk.waiting(Identifier("ACCOUNT_ID", ACCOUNT))
    for scopes in ((), ("stats:read", "privacy:read")):
        with pytest.raises(DomainError) as refused:
            await desk.accounts.prove(status, ACCOUNT, scopes)
        assert refused.value.reason is Reason.SCOPE_MISSING
    assert await desk.state(status) is State.IDENTITY_PENDING
    shown = await desk.accounts.prove(status, ACCOUNT, (SCOPE,))
    assert shown.request.identity_proof == "account key"
    other = await desk.waiting(Identifier("ACCOUNT_ID", "acc_01jd3zmg6m0000000000000009"))
    with pytest.raises(DomainError) as refused:
        await desk.accounts.prove(other, ACCOUNT, (SCOPE,))
    assert refused.value.reason is Reason.PROOF_NOT_AVAILABLE


async def test_where_no_mail_leaves_a_code_is_not_on_offer(desk: Desk) -> None:
    status = await desk.waiting(MAIL)
    desk.box.is_open = False
    with pytest.raises(DomainError) as refused:
        await desk.mail.send(status)
    assert refused.value.reason is Reason.PROOF_NOT_AVAILABLE


@pytest.mark.parametrize(("right", "instead"), [(Right.ACCESS, Right.CATEGORIES), (Right.ERASURE, Right.OPT_OUT)])
async def test_what_nobody_proved_falls_back_to_what_needs_no_proof(desk: Desk, right: Right, instead: Right) -> None:
    status = await desk.waiting(HANDLE, right=right)
    desk.office.clock.advance(timedelta(days=60))
    await desk.office.reconciler.end_unproved()
    await desk.office.reconciler.end_unproved()
    assert await desk.state(status) is State.EXPIRED
    await desk.office.triage.run_once()
    found, _ = await desk.office.requests.page(50, "")
    (child,) = [one.request for one in found if one.request.parent_id == desk.proving.request_id(status)]
    assert (child.right, child.identity_proof) == (instead, "none needed")
    assert child.state not in {State.RECEIVED, State.IDENTITY_PENDING}


async def test_opting_out_needs_no_proof(desk: Desk) -> None:
    new = NewRequest(Right.OPT_OUT, "web", "", (HANDLE,), str(ULID()), regime=Regime.CCPA)
    shown = await desk.office.requests.open(new)
    await desk.office.triage.run_once()
    assert await desk.office.state(shown.request.request_id) is State.EXECUTING


async def test_proofs_are_forgotten_when_their_request_has_ended(desk: Desk) -> None:
    status = await desk.waiting(MAIL)
    await desk.mail.send(status)
    forgetting = Forgetting(desk.office.database, desk.office.clock)
    assert await forgetting.run_once() == 0
    await desk.office.requests.withdraw(desk.proving.request_id(status))
    assert await forgetting.run_once() == 1
    async with desk.office.database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(proofs)) == 0


async def test_who_is_proved_by_signing_in_alone_fetches_the_package_by_signing_in_again(desk: Desk) -> None:
    status = await desk.packaged()
    request_id = desk.proving.request_id(status)
    offers = Offers(desk.office.links, letters=False, login=True)
    assert await offers.package_methods(await desk.office.show(request_id)) == ("login",)
    secret = await desk.fetched(status)
    zipped = b"".join([piece async for piece in desk.office.links.read(request_id, secret)])
    assert zipped.startswith(b"PK")
    with pytest.raises(DomainError) as used:
        await anext(desk.office.links.read(request_id, secret))
    assert used.value.reason is Reason.PACKAGE_LINK_INVALID
    assert await desk.fetched(status) != secret


async def test_nobody_else_who_signs_in_gets_the_package_and_a_state_works_once(desk: Desk) -> None:
    status = await desk.packaged()
    desk.instagram.profile_ = Profile("17841400000000002", "ada", "1234", "5")
    url = await desk.fetching.start(status)
    assert url is not None
    state = url.partition("state=")[2]
    with pytest.raises(DomainError) as refused:
        await desk.fetching.finish(state, "good")
    assert refused.value.reason is Reason.LOGIN_STATE_INVALID
    assert await desk.fetching.finish(state, "good") is None, "it is nobody's state any more"
    async with desk.office.database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(package_links)) == 0


async def test_a_sign_in_for_a_package_outlives_the_proofs_of_its_request_for_its_quarter_of_an_hour(
    desk: Desk,
) -> None:
    status = await desk.packaged()
    desk.office.clock.advance(timedelta(seconds=1))
    forgetting = Forgetting(desk.office.database, desk.office.clock)
    url = await desk.fetching.start(status)
    assert url is not None
    assert await forgetting.run_once() == 1
    desk.office.clock.advance(timedelta(minutes=16))
    with pytest.raises(DomainError) as late:
        await desk.fetching.finish(url.partition("state=")[2], "good")
    assert late.value.reason is Reason.LOGIN_STATE_INVALID
    assert await forgetting.run_once() == 1


async def test_there_is_no_sign_in_for_a_package_that_is_gone_or_that_a_letter_opens(desk: Desk) -> None:
    mailed = await desk.waiting(MAIL, HANDLE, right=Right.ACCESS)
    assert await desk.fetching.start(mailed) is None, "it has not ended"
    await desk.mail.send(mailed)
    await desk.mail.submit(mailed, desk.box.codes[0])
    state = (await desk.logins.start(mailed)).partition("state=")[2]
    await desk.logins.finish(state, "good")
    await desk.office.triage.run_once()
    await desk.office.work(Sent.RIGHT_ACCESS)
    assert await desk.state(mailed) is State.FULFILLED
    assert await desk.fetching.start(mailed) is None, "the letter has a link"
    status = await desk.packaged()
    desk.office.clock.advance(timedelta(days=8))
    await desk.office.reconciler.sweep()
    offers = Offers(desk.office.links, letters=True, login=True)
    assert await offers.package_methods(await desk.office.show(desk.proving.request_id(status))) == ()
    url = await desk.fetching.start(status)
    assert url is not None
    with pytest.raises(DomainError) as gone:
        await desk.fetching.finish(url.partition("state=")[2], "good")
    assert gone.value.reason is Reason.LOGIN_STATE_INVALID


def test_without_a_relay_no_code_is_on_offer_and_without_an_app_no_sign_in(desk: Desk) -> None:
    offers = Offers(desk.office.links, letters=False, login=False)
    assert (list(offers.methods), offers.letters) == (["points", "account"], False)
