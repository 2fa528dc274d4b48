"""Pages: HTML from our templates, escaped, under a content policy that lets nothing in but our own style sheet."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from igstats_kit.interceptors import gpc
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from igstats_gateway.doors import language

_PAGES = "doors/pages"
_STYLE = (Path(__file__).parent / "pages" / "style.css").read_bytes()
_CONTENT_POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SAFE: Mapping[str, str] = {
    "cache-control": "no-store",
    "content-security-policy": _CONTENT_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), browsing-topics=()",
    # Not no-referrer: browsers then send "Origin: null" with our own forms. Outside links say noreferrer themselves.
    "referrer-policy": "same-origin",
    "strict-transport-security": "max-age=31536000",
    "vary": "Sec-GPC, Accept-Language",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-robots-tag": "noindex",
}
_environment = Environment(
    loader=PackageLoader("igstats_gateway", _PAGES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Contact:
    """Who is responsible, and whom a person can ask (policy 11)."""

    name: str
    email: str
    postal: str
    officer: str
    phone: str


class Pages:
    """Renders pages in the language of the running request."""

    def __init__(self, contact: Contact) -> None:
        self._contact = contact

    def page(
        self, name: str, status: int = 200, headers: Mapping[str, str] | None = None, **values: object
    ) -> Response:
        """A page. It says that a Global Privacy Control signal was honoured when one came (11 CCR 7025(c)(6)).

        Raises:
            jinja2.UndefinedError: The page needs a value that is not there.
            KeyError: It says what its language has no words for.
        """
        say = language.heard()
        known = {"gpc": gpc.heard(), "say": say, "contact": self._contact, "errors": (), "values": {}, **values}
        text = _environment.get_template(f"{name}.html").render(known)
        return HTMLResponse(text, status, {**SAFE, "content-language": say.language, **(headers or {})})


def style() -> Response:
    """The style sheet."""
    return Response(_STYLE, headers={**SAFE, "cache-control": "public, max-age=3600"}, media_type="text/css")
