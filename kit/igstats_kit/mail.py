"""Mail addresses: one strict grammar for whoever takes one in and whoever writes to one. Pure."""

import re
import unicodedata

_LONGEST = 254
_LONGEST_LOCAL = 64
# RFC 5322 section 3.2.3 with RFC 6531 section 3.3: dot-atom, beyond ASCII whatever can be printed.
_ATOM = r'[^\x00-\x20\x7f"(),.:;<>@\[\\\]]+'
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
# RFC 1035 section 2.3.1 with RFC 1123 section 2.1; the last label has a letter, so that it is no IPv4 address.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+(?=[a-z0-9-]*[a-z]){_LABEL}")
_ENCODED_WORD = "=?"


def mail_address(text: str) -> str | None:
    """The address as mail is sent to it, its domain in ASCII; None when it is none.

    Narrower than RFC 5321: no quoted local part, no literal address, no host without a domain, and nothing that reads
    as an encoded word (RFC 2047). Whatever passes is one recipient in a header and in an envelope.
    """
    local, _, domain = unicodedata.normalize("NFKC", text).strip().rpartition("@")
    try:
        ascii_domain = domain.lower().encode("idna").decode("ascii")
    except UnicodeError:
        return None
    if not (_LOCAL.fullmatch(local) and local.isprintable() and _DOMAIN.fullmatch(ascii_domain)):
        return None
    whole = f"{local}@{ascii_domain}"
    fits = len(local.encode()) <= _LONGEST_LOCAL and len(whole.encode()) <= _LONGEST
    return whole if fits and _ENCODED_WORD not in local else None
