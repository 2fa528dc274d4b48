"""Which values a person can have set right: those that some holder declares so."""

from igstats_kit.errors import DomainError, Reason

from igstats_privacy import messages
from igstats_privacy.model import NewRequest, Right
from igstats_privacy.registry import Registry


async def refuse_uncorrectable(wish: NewRequest, registry: Registry) -> None:
    """A correction names values, and some holder can correct each of them; any other wish passes.

    Raises:
        DomainError: CORRECTION_NOT_POSSIBLE.
    """
    if wish.right is not Right.CORRECTION:
        return
    possible = {
        f"{store.store}.{field.name}"
        for holder in await registry.holders()
        for store in messages.description(holder).stores
        for field in store.fields
        if field.correctable
    }
    if not wish.corrections or not {one.field for one in wish.corrections} <= possible:
        raise DomainError(Reason.CORRECTION_NOT_POSSIBLE)
