"""What stands for officers where their names must not: in the evidence log.

It holds no personal data, and its entries about a request go to the person. The same officer has the same id; only who
has our key can tell whose it is.
"""

import hmac

from igstats_kit.interceptors.identity import OPERATOR
from igstats_kit.seal import Sealer

_DIGITS = 32


class OfficerIds:
    """Makes ids, by a key of their own."""

    def __init__(self, sealer: Sealer) -> None:
        self._key = sealer.derived("igstats officers")

    def of(self, name: str) -> str:
        """The id of an officer by the name in the certificate; one that names nobody is "operator" here, too."""
        if name == OPERATOR:
            return name
        return f"off_{hmac.digest(self._key, name.encode(), 'sha256').hex()[:_DIGITS]}"
