"""The mail relay, by SMTP (RFC 5321): one letter, one delivery, refusals told apart from bad days."""

from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

import aiosmtplib
from igstats_kit.mail import mail_address

from igstats_privacy.letters.rendering import Rendered

_SECONDS = 20
_PERMANENT = 500


class RelayUnavailableError(Exception):
    """The relay cannot take the letter now."""


class LetterRefusedError(Exception):
    """The relay will never take this letter: 5xx (RFC 5321 section 4.2.1)."""


class Relay:
    """A relay at smtp://[user:password@]host:port, or smtps:// for TLS from the first byte.

    With smtp:// TLS is used as soon as the relay offers it; a password is never sent without.
    """

    def __init__(self, url: str, sender: str) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port
        self._tls = parts.scheme == "smtps"
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._sender = sender

    async def send(self, mail_id: str, to: str, letter: Rendered, written: datetime) -> None:
        """Hands a letter over. The same `mail_id` gives the same Message-ID: a repeat can be recognised.

        Raises:
            LetterRefusedError: For good; also when `to` is no mail address.
            RelayUnavailableError: For now.
        """
        address = mail_address(to)
        if address is None:
            raise LetterRefusedError
        try:
            await aiosmtplib.send(
                message(self._sender, mail_id, address, letter, written),
                recipients=[address],
                hostname=self._host,
                port=self._port,
                username=self._user,
                password=self._password,
                use_tls=self._tls,
                start_tls=True if self._user and not self._tls else None,
                timeout=_SECONDS,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [one.code for one in error.recipients]
            raise (LetterRefusedError if all(code >= _PERMANENT for code in codes) else RelayUnavailableError) from None
        except aiosmtplib.SMTPResponseException as error:
            permanent = error.code >= _PERMANENT and not isinstance(error, aiosmtplib.SMTPAuthenticationError)
            raise (LetterRefusedError if permanent else RelayUnavailableError) from None
        except (aiosmtplib.SMTPException, OSError):
            raise RelayUnavailableError from None


def message(sender: str, mail_id: str, to: str, letter: Rendered, written: datetime) -> EmailMessage:
    """The letter as mail: text first, HTML as its alternative, and marked so that no robot answers (RFC 3834)."""
    made = EmailMessage()
    made["From"] = sender
    made["To"] = to
    made["Subject"] = letter.subject
    made["Date"] = format_datetime(written)
    made["Message-ID"] = f"<{mail_id}@{sender.rpartition('@')[2].rstrip('>')}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(letter.text)
    made.add_alternative(letter.html, subtype="html")
    made["Content-Language"] = letter.language  # last: setting content drops such headers or moves them into a part
    return made
