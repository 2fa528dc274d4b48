"""What is on offer here: ways of proving an identity, ways to a package, letters."""

from collections.abc import Sequence
from typing import Protocol

from igstats_privacy.model import Shown
from igstats_privacy.proofs import rules
from igstats_privacy.proofs.proof import Method

_CARRIED_OUT = (Method.MAIL_CODE, Method.POINTS, Method.LOGIN, Method.ACCOUNT)


class Packages(Protocol):
    """Knows of packages."""

    async def open_still(self, request_id: str) -> bool:
        """Whether there is a package to fetch."""
        ...


class Offers:
    """Depends on settings: without a mail relay there are no letters, without an app nobody signs in."""

    def __init__(self, packages: Packages, *, letters: bool, login: bool) -> None:
        self._packages = packages
        self._login = login
        self.letters = letters
        on_offer = {Method.MAIL_CODE: letters, Method.LOGIN: login}
        self.methods: Sequence[str] = tuple(str(one) for one in _CARRIED_OUT if on_offer.get(one, True))

    async def package_methods(self, shown: Shown) -> Sequence[str]:
        """Ways to the package of a request that has ended, beside the link of a letter."""
        if not self._login or not rules.opened_by_login(shown.request):
            return ()
        return (str(Method.LOGIN),) if await self._packages.open_still(shown.request.request_id) else ()
