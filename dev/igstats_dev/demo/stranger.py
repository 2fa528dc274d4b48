"""Between: somebody without a key asks at the public form, proves an address by mail, and gets letters."""

import re
import secrets
from collections.abc import Sequence
from http import HTTPStatus

from igstats_dev.demo.scene import Scene, until
from igstats_dev.mail.letters import Letter, Letters

_CODE = re.compile(r"\b\d{4} \d{4}\b")


async def ask(scene: Scene) -> None:
    """A contact of the customer wants to be deleted, and the customer need not help."""
    scene.say.chapter("A colleague of the customer has no key: a form, a code by mail, letters in their language")
    address = f"ada-{secrets.token_hex(4)}@example.com"
    added = {"contacts": [{"email": address, "name": "Ada"}]}
    account = await scene.customer.patch("/v1/account", added)
    scene.say.check(address in account.text, "the customer has a contact more", account.text)
    wish = {"right": "ERASURE", "email": address, "language": "de", "key": secrets.token_urlsafe(24)}
    page = await scene.customer.send_form("/privacy", wish)
    scene.say.check(page, "the request has a page of its own; whoever has its address sees where it stands")
    await until(lambda: scene.customer.send_form(f"{page}/mail-code", {}), bool, "the request to ask for a proof")
    codes = await _letters(scene, address, 2)
    code = next(found.group() for one in codes if (found := _CODE.search(one.text)))
    proved = await scene.customer.send_form(f"{page}/mail-code/check", {"code": code})
    scene.say.check(proved == page, "the code proves the address, and nothing else was asked")
    letters = await _letters(scene, address, 3)
    for one in letters:
        scene.say.answer(f"letter to {one.to} ({one.language}): {one.subject}")
    scene.say.check("erledigt" in letters[-1].subject, "the last letter says that it is done", letters[-1].text)
    account = await scene.customer.get("/v1/account")
    gone = account.status == HTTPStatus.OK and address not in account.text
    scene.say.check(gone, "the contact is gone, the customer's account is not", account.text)


async def _letters(scene: Scene, address: str, count: int) -> Sequence[Letter]:
    caught = Letters(scene.stack.layout.letters)

    async def look() -> Sequence[Letter]:
        return [one for one in caught.all() if one.to == address]

    return await until(look, lambda found: len(found) >= count, f"{count} letters to {address}")
