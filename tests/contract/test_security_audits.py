"""docs/security-audits.md lists every check of the security audits, in the words of the code."""

import re

from codebase import text
from igstats_audit.checks.catalogue import CHECKS

PAGE = text("docs/security-audits.md")


def test_the_page_lists_every_check_with_what_it_finds() -> None:
    rows = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| ([^|]+) \|", PAGE, re.MULTILINE)
    assert dict(rows) == CHECKS
    assert [name for name, _ in rows] == sorted(CHECKS)
