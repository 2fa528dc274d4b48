"""Second half: the person asks for deletion, every holder proves it, and nothing brings the person back."""

import asyncio
import sys
import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from zipfile import ZipFile

import grpc
from igstats.api.v1.connection_service_pb2 import Connection
from igstats.api.v1.request_service_pb2 import (
    CreateRequestResponse,
    GetEvidenceRequest,
    PrivacyRequest,
    WatchRequestRequest,
)
from igstats_kit.testing.environment import SERVICES

from igstats_dev.demo import watch
from igstats_dev.demo.arrival import calls
from igstats_dev.demo.customer import run
from igstats_dev.demo.narrator import StoryError
from igstats_dev.demo.replay import replay_sync
from igstats_dev.demo.scene import Person, Scene, until
from igstats_dev.demo.traces import files_with, tables_with

FULFILLED = "FULFILLED"
PHASES = {"FENCE", "ERASE", "SWEEP", "ATTEST"}


async def delete(scene: Scene, person: Person) -> PrivacyRequest:
    """Opens the request and follows it to its end."""
    scene.say.chapter("The person wants to be deleted; every service that could hold data answers for itself")
    found, _ = await tables_with(scene.stack.postgres, person.needles)
    scene.say.check(found, f"before: {sum(found.values())} rows in {len(found)} tables name {person.username}")
    subject = {"instagramUserId": person.instagram_user_id, "username": person.username}
    begun = time.monotonic()
    answer = await scene.customer.post("/v1/requests", {"kind": "REQUEST_KIND_ERASURE", "subject": subject})
    request = answer.read(CreateRequestResponse()).request
    scene.say.check(request.request_id, f"request {request.reference} is durable")
    watching = scene.customer.requests.WatchRequest(WatchRequestRequest(request_id=request.request_id))
    last = await watch.follow(scene.say.console, watching)
    _check_outcome(scene, last)
    scene.say.answer(f"{time.monotonic() - begun:.2f} s from the request to the last receipt")
    return last


def _check_outcome(scene: Scene, request: PrivacyRequest) -> None:
    settled = {(step.holder, step.phase) for step in request.steps if step.state == "SETTLED"}
    missing = sorted({(holder, phase) for holder in SERVICES for phase in PHASES} - settled)
    scene.say.check(not missing, "four holders settled fence, erase, sweep and attest", f"missing: {missing}")
    erased = [step for step in request.steps if (step.holder, step.phase) == ("stats", "ERASE")]
    rows = sum(sum(step.counts.values()) for step in erased)
    scene.say.check(rows > 0 and erased[0].outcome == "ERASED", f"stats erased {rows} rows", str(erased))
    scene.say.check(request.state == FULFILLED, f"the request is {request.state}", str(request))


async def verify(scene: Scene, request: PrivacyRequest) -> None:
    """Fetches the evidence and lets the customer's own tool judge it, without any of our services."""
    scene.say.chapter("The receipts are verified offline, by a tool that needs none of our services")
    await until(lambda: _in_the_log(scene, request), bool, "the log to hold every receipt")
    file = scene.stack.layout.folder / f"evidence-{request.reference}.zip"
    await scene.customer.download(f"/v1/requests/{request.request_id}/evidence.zip", file)
    scene.say.command(f"igstats receipt verify {file}")
    for line in (await run(_igstats(), "receipt", "verify", str(file))).splitlines():
        scene.say.answer(line)
    files = await asyncio.to_thread(_unpacked, file)
    receipts = [name for name in files if name.endswith(".sig") and name.startswith("receipts/")]
    scene.say.check(receipts, f"{len(receipts)} receipts are signed, in the log, and complete")
    await _forge(scene, files, file.with_name("spoilt.zip"))


def _unpacked(file: Path) -> dict[str, bytes]:
    with ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _packed(file: Path, files: Mapping[str, bytes]) -> None:
    with ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


async def _in_the_log(scene: Scene, request: PrivacyRequest) -> bool:
    """The log takes receipts from NATS, a moment after the request has ended."""
    try:
        await scene.customer.requests.GetEvidence(GetEvidenceRequest(request_id=request.request_id))
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
            raise
        return False
    return True


async def _forge(scene: Scene, files: Mapping[str, bytes], file: Path) -> None:
    """Changes one bit of the evidence: the tool must notice."""
    name = next(name for name in files if name.endswith(".payload"))
    spoilt = files[name][:-1] + bytes([files[name][-1] ^ 1])
    await asyncio.to_thread(_packed, file, {**files, name: spoilt})
    try:
        await run(_igstats(), "receipt", "verify", str(file))
    except StoryError:
        scene.say.check(truth=True, claim="with one bit changed the tool refuses it")
    else:
        raise StoryError(f"igstats receipt verify accepted forged evidence: {file}")
    await asyncio.to_thread(file.unlink)


def _igstats() -> str:
    return str(Path(sys.executable).with_name("igstats"))


async def stay_away(scene: Scene, person: Person, connection: Connection) -> None:
    """Tries to bring the person back by every way there is."""
    scene.say.chapter("Nothing brings the person back")
    gone = await scene.customer.get(f"/v1/profiles/{person.username}")
    scene.say.check(gone.status == HTTPStatus.NOT_FOUND, "the profile is gone", gone.text)
    sync = await scene.customer.post(f"/v1/connections/{connection.connection_id}:sync", {})
    scene.say.check(sync.status != HTTPStatus.OK, f"the next sync is refused: {sync.body.get('reason')}", sync.text)
    again = await scene.customer.post("/v1/connections", {"accessToken": person.access_token})
    reason = again.body.get("reason")
    scene.say.check(reason == "SUBJECT_ERASED", f"connecting again is refused: {reason}", again.text)
    operator = scene.stack.layout.certificates["operator"]
    asked = await calls(scene.customer.access.instagram, person)
    scene.say.command("nats: the old sync event once more, same bytes, new message id")
    name = await replay_sync(scene.stack.nats, operator, connection.connection_id)
    scene.say.check(name, f"stats has handled the replayed event {name}")
    asked_since = await calls(scene.customer.access.instagram, person) - asked
    scene.say.check(not asked_since, "and has not even asked Instagram about the person", f"{asked_since} calls")
    still = await scene.customer.get(f"/v1/profiles/{person.instagram_user_id}")
    scene.say.check(still.status == HTTPStatus.NOT_FOUND, "the profile is still gone", still.text)


async def search(scene: Scene, person: Person) -> None:
    """Reads every table, stream file and log for the person."""
    scene.say.chapter("We look for ourselves, past all services")
    found, read = await tables_with(scene.stack.postgres, person.needles)
    scene.say.check(not found, f"none of {read} tables in four databases names {person.username}", str(found))
    folders = (scene.stack.layout.folder / "nats", scene.stack.layout.logs)
    files, looked = await asyncio.to_thread(files_with, folders, person.needles)
    scene.say.check(not files, f"none of {looked} stream and log files does", str(files))
