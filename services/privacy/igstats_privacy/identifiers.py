"""The names of a person, sealed while a request needs them and destroyed when it ends."""

import json
from collections.abc import Iterable, Sequence

from igstats_kit.seal import Sealer
from igstats_kit.tokens import Tokens, email_sha256, normalise

from igstats_privacy.model import Correction, Identifier, Naming

# Which name of a person stands for them in the request ledger: the first of these that a request has.
_LASTING = (
    *("INSTAGRAM_USER_ID", "APP_USER_ID", "CONTACT_ID"),
    *("EMAIL", "EMAIL_SHA256", "USERNAME", "ACCOUNT_ID"),
)


class Identifiers:
    """Seals, opens and tokenises identifiers."""

    def __init__(self, sealer: Sealer, tokens: Tokens) -> None:
        self._sealer = sealer
        self._tokens = tokens
        self._ledger_tokens = Tokens(sealer.derived("igstats request ledger"))

    def seal(self, request_id: str, naming: Naming) -> bytes:
        """The names in a request as they are stored."""
        pairs = [[one.kind, one.value] for one in naming.identifiers]
        wrong = [[one.field, one.value] for one in naming.corrections]
        content = [naming.account_id, pairs, wrong, naming.reply_address, naming.language]
        if naming.tokens:
            content.append([token.hex() for token in naming.tokens])
        return self._sealer.seal(json.dumps(content).encode(), _place(request_id))

    def seal_reply(self, request_id: str, address: str, language: str) -> bytes | None:
        """Where letters about a request go to, as it is stored beside the names and beyond their end; None for none."""
        if not address:
            return None
        return self._sealer.seal(json.dumps([address, language]).encode(), _reply_place(request_id))

    def open_reply(self, request_id: str, sealed: bytes) -> tuple[str, str]:
        """The address and language that `seal_reply` stored for this request."""
        address, language = json.loads(self._sealer.open(sealed, _reply_place(request_id)))
        return address, language

    def seal_recipient(self, request_id: str, account_id: str, profiles: Sequence[str]) -> bytes:
        """Which account is to be told about which Instagram ids, as it is stored until that was read."""
        return self._sealer.seal(json.dumps([account_id, list(profiles)]).encode(), _recipient_place(request_id))

    def open_recipient(self, request_id: str, sealed: bytes) -> tuple[str, tuple[str, ...]]:
        """The account and Instagram ids that `seal_recipient` stored for this request."""
        account_id, profiles = json.loads(self._sealer.open(sealed, _recipient_place(request_id)))
        return account_id, tuple(profiles)

    def open(self, request_id: str, sealed: bytes) -> Naming:
        """The names that `seal` stored for this request."""
        account_id, pairs, wrong, reply, language, *rest = json.loads(self._sealer.open(sealed, _place(request_id)))
        identifiers = tuple(Identifier(kind, value) for kind, value in pairs)
        corrections = tuple(Correction(name, value) for name, value in wrong)
        tokens = tuple(bytes.fromhex(token) for token in (rest[0] if rest else ()))
        return Naming(account_id, identifiers, corrections, reply, language, tokens)

    def tokens_of(self, naming: Naming) -> tuple[bytes, ...]:
        """The keyed tokens of a person: of the names, and those that have outlived their names."""
        return (*self.tokens(naming.identifiers), *naming.tokens)

    def lasting_tokens_of(self, naming: Naming) -> tuple[bytes, ...]:
        """Those of `tokens_of` that stay the person's: what is erased, fenced, restricted and exported goes by them.

        A handle that its owner gives up becomes somebody else's, so it counts for those alone whose id nobody knows.
        """
        return (*self.tokens(_lasting(naming.identifiers)), *naming.tokens)

    def tokens(self, identifiers: Sequence[Identifier]) -> tuple[bytes, ...]:
        """The keyed tokens of the identifiers, in their order."""
        return tuple(self._tokens.of(one.kind, one.value) for one in identifiers)

    def mail_tokens(self, address: str) -> tuple[bytes, ...]:
        """The keyed tokens of a mail address: by itself, and by its hash, which is all that some doors hand in."""
        mail = normalise("EMAIL", address)
        return self.tokens([Identifier("EMAIL", mail), Identifier("EMAIL_SHA256", email_sha256(mail))])

    def ledger_token(self, identifiers: Sequence[Identifier]) -> bytes:
        """The person in the request ledger, under its own key; b"" when nobody is named."""
        found = {one.kind: one.value for one in reversed(identifiers)}
        lasting = next((kind for kind in (*_LASTING, *found) if kind in found), None)
        return self._ledger_tokens.of(lasting, found[lasting]) if lasting is not None else b""

    def account_token(self, account_id: str) -> bytes:
        """What finds an account's requests without keeping its id; b"" for no account."""
        return self._tokens.of("ACCOUNT_ID", account_id) if account_id else b""


def _lasting(identifiers: Sequence[Identifier]) -> list[Identifier]:
    known = any(one.kind == "INSTAGRAM_USER_ID" for one in identifiers)
    return [one for one in identifiers if one.kind != "USERNAME" or not known]


def normalised(identifiers: Iterable[Identifier]) -> tuple[Identifier, ...]:
    """The identifiers in the one spelling that is compared, each once, in one order.

    Raises:
        DomainError: SUBJECT_UNIDENTIFIED; one of them is empty.
    """
    return tuple(sorted({Identifier(one.kind, normalise(one.kind, one.value)) for one in identifiers}))


def _reply_place(request_id: str) -> str:
    return f"correspondents.sealed:{request_id}"


def _recipient_place(request_id: str) -> str:
    return f"recipients.sealed:{request_id}"


def _place(request_id: str) -> str:
    return f"request_identifiers.sealed:{request_id}"
