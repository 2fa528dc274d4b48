"""The test account: made once by the gateway's own command, remembered in the folder for the `igstats` command."""

import asyncio
import contextlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from igstats_kit.testing.processes import ProcessError
from igstats_kit.testing.secrets import write_private

from igstats_dev.layout import OPERATOR
from igstats_dev.stack import Stack


@dataclass(frozen=True)
class Access:
    """How to reach the stack, as a customer and as an officer. Its fields are the file `env` of the folder."""

    gateway_grpc: str
    gateway_http: str
    ca: str
    account_id: str
    key: str
    instagram: str
    audit: str = ""
    privacy: str = ""
    officer_cert: str = ""
    officer_key: str = ""


async def ensure(stack: Stack) -> Access:
    """The test account of the stack, made now when the folder has none; writes the file `env`.

    Without a gateway there is none, and its fields stay empty.
    """
    file = stack.layout.folder / "env"
    known: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(file.read_text())
    if not known.get("key") and "gateway" in stack.services:
        known = await create(stack, "Demo GmbH", "demo@example.com")
    access = Access(
        gateway_grpc=stack.layout.address("gateway-grpc"),
        gateway_http=f"https://localhost:{stack.layout.ports['gateway-http']}",
        ca=str(stack.layout.authority.certificate),
        account_id=known.get("account_id", ""),
        key=known.get("key", ""),
        instagram=stack.layout.instagram_url,
        audit=stack.layout.address("audit-rpc"),
        privacy=stack.layout.address("privacy-rpc"),
        officer_cert=str(stack.layout.certificates[OPERATOR].certificate),
        officer_key=str(stack.layout.certificates[OPERATOR].key),
    )
    write_private(file, json.dumps(vars(access), indent=2).encode())
    return access


async def create(stack: Stack, company: str, email: str) -> dict[str, str]:
    """Makes an account with one key, which may do everything because no scopes are named.

    Raises:
        ProcessError: The gateway's command failed.
    """
    wanted = ("--company", company, "--email", email)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "igstats_gateway", "account", "create", *wanted),
        env={**os.environ, **stack.environment("gateway")},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaint = await process.communicate()
    if process.returncode:
        raise ProcessError(f"igstats_gateway account create failed: {complaint.decode()[-1000:]}")
    answer: dict[str, str] = json.loads(said)
    return answer


def read(folder: Path) -> Access:
    """The access that a running stack has written.

    Raises:
        FileNotFoundError: No stack was ever started in the folder.
    """
    found = json.loads((folder / "env").read_text())
    return Access(**{name: found[name] for name in Access.__dataclass_fields__ if name in found})
