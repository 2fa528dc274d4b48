"""The register as JSON, CSV and a page that needs nothing but itself. Pure."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict

from jinja2 import Environment, PackageLoader, StrictUndefined

from igstats_privacy import sheets
from igstats_privacy.records.activities import Activity, Register

_FIELDS = (
    *("holder", "purpose", "legal_basis", "persons", "categories", "groups"),
    *("recipients", "retention", "erasure", "stores"),
)
_CONTROLLER = ("name", "email", "form", "address", "dpo_email", "dpo_phone")

_pages = Environment(
    loader=PackageLoader("igstats_privacy", "records"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


def as_json(register: Register) -> bytes:
    """Everything, for programs."""
    content = asdict(register) | {"made_at": register.made_at.isoformat(), "law": "GDPR article 30(1)"}
    return json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n"


def as_csv(register: Register) -> bytes:
    """One line an activity, the controller on each: RFC 4180, UTF-8. Several values in a cell are parted by "; "."""
    names = [*_FIELDS, "transfers", "security", *(f"controller_{name}" for name in _CONTROLLER), "made_at"]
    always = [
        *map("; ".join, (register.transfers, register.security)),
        *(getattr(register.controller, name) for name in _CONTROLLER),
        register.made_at.isoformat(),
    ]
    lines = [dict(zip(names, [*_values(one), *always], strict=True)) for one in register.activities]
    return sheets.header(names) + b"".join(sheets.row(names, line) for line in lines)


def _values(activity: Activity) -> list[str]:
    found = [getattr(activity, name) for name in _FIELDS]
    return [one if isinstance(one, str) else "; ".join(one) for one in found]


def as_html(register: Register) -> bytes:
    """A page for people, to be read on a screen or printed; it loads nothing."""
    return _pages.get_template("register.html").render(register=register).encode()


FORMS: Mapping[str, tuple[Callable[[Register], bytes], str]] = {
    "json": (as_json, "application/json"),
    "csv": (as_csv, "text/csv; charset=utf-8"),
    "html": (as_html, "text/html; charset=utf-8"),
}
"""How each form is made, and its media type."""
