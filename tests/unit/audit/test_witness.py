"""The client of a witness against a witness that speaks HTTP, and against everything else that may answer there."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from igstats_audit.cosignature import key_ring
from igstats_audit.errors import TileMissingError
from igstats_audit.model import Head
from igstats_audit.note import Checkpoint, NoteSigner, key_id, read_checkpoint, verifier_key
from igstats_audit.tree import Range, consistency_spans, grow, leaf_hash, nodes_of, path
from igstats_audit.witness import Trouble, Witness, WitnessError, Witnessing
from igstats_client.checkpoint import open_checkpoint, trust
from igstats_client.merkle import ProofError, check_consistency
from igstats_kit.errors import DomainError, Reason

NAME = "witness.test/w1"
KEY = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
PUBLIC = b"\x04" + KEY.public_key().public_bytes_raw()
VKEY = verifier_key(NAME, PUBLIC)
LEAVES = [leaf_hash(bytes([number])) for number in range(100)]


@dataclass
class FakeWitness:
    """Speaks add-checkpoint as the specification says; a test can put another answer before."""

    log_key: str
    sizes: dict[str, Checkpoint] = field(default_factory=dict)
    answers: list[web.Response] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    free: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    origin: str = "igstats.test/evidence"

    async def add_checkpoint(self, request: web.Request) -> web.Response:
        body = await request.text()
        self.bodies.append(body)
        self.asked.set()
        await self.free.wait()
        return self.answers.pop(0) if self.answers else self.answer(body)

    def answer(self, body: str) -> web.Response:
        head, _, note = body.partition("\n\n")
        old_line, *path_lines = head.split("\n")
        old = int(old_line.removeprefix("old "))
        checkpoint = open_checkpoint(note, trust([self.log_key]))
        seen = self.sizes.get(checkpoint.origin)
        if checkpoint.origin != self.origin:
            return web.Response(status=404)
        if old != (seen.size if seen else 0):
            text = f"{seen.size if seen else 0}\n"
            return web.Response(status=409, body=text.encode(), headers={"Content-Type": "text/x.tlog.size"})
        if seen and old == checkpoint.size and seen.root != checkpoint.root:
            return web.Response(status=409)
        proof = [base64.b64decode(part) for part in path_lines]
        try:
            if seen:
                check_consistency(old, seen.root, checkpoint.size, checkpoint.root, proof)
        except ProofError:
            return web.Response(status=422)
        self.sizes[checkpoint.origin] = read_checkpoint(note)
        return web.Response(text=cosignature(read_checkpoint(note)))


def cosignature(checkpoint: Checkpoint, seconds: int = 1_795_392_000) -> str:
    signature = KEY.sign(f"cosignature/v1\ntime {seconds}\n{checkpoint.text}".encode())
    raw = key_id(NAME, PUBLIC) + seconds.to_bytes(8, "big") + signature
    return f"— {NAME} {base64.b64encode(raw).decode()}\n"


class SmallLog:
    """Proves from memory, and serves one checkpoint."""

    def __init__(self, signer: NoteSigner) -> None:
        self.signer = signer
        self.size = 0
        self.cut = 0
        self.served = ""
        self.failure: Exception | None = None
        self.attached = asyncio.Event()
        self.kept: list[str] = []

    async def consistency(self, old: int, size: int) -> tuple[list[bytes], int]:
        if old < self.cut:
            raise DomainError(Reason.ENTRY_CUT, log="evidence", minimum_index=str(self.cut))
        spans = consistency_spans(old, size)
        nodes = grow(Range(), LEAVES[:size]).nodes
        return path(spans, {node: nodes[node] for node in nodes_of(spans)}), size

    def note(self, size: int, leaves: Sequence[bytes] = LEAVES) -> str:
        return self.signer.sign(Checkpoint(self.signer.name, size, grow(Range(), leaves[:size]).after.root).text)

    async def head(self) -> Head:
        if self.failure is not None:
            raise self.failure
        return Head(grow(Range(), LEAVES[: self.size]).after, self.size, self.note(self.size))

    def checkpoint(self, head: Head) -> str:
        self.served = head.checkpoint
        return self.served

    def attach(self, head: Head, cosignatures: Sequence[str]) -> None:
        if self.served == head.checkpoint:
            self.served += "".join(cosignatures)
        self.attached.set()

    async def keep(self, checkpoint: Checkpoint, cosignatures: Sequence[str]) -> None:
        self.kept.append("".join((checkpoint.text, "\n", *cosignatures)))


@pytest.fixture
def log(note_signer: NoteSigner) -> SmallLog:
    return SmallLog(note_signer)


@pytest.fixture
async def fake(log: SmallLog) -> FakeWitness:
    made = FakeWitness(log.signer.verifier_key)
    made.free.set()
    return made


@contextlib.asynccontextmanager
async def served(fake: FakeWitness) -> AsyncIterator[str]:
    """The witness over HTTP; gives its submission prefix."""
    application = web.Application()
    application.router.add_post("/sub/add-checkpoint", fake.add_checkpoint)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}/sub/"
    fake.free.set()
    await runner.cleanup()


@pytest.fixture
async def url(fake: FakeWitness) -> AsyncIterator[str]:
    async with served(fake) as prefix:
        yield prefix


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


@pytest.fixture
def witness(session: aiohttp.ClientSession, url: str, log: SmallLog) -> Witness:
    return Witness(session, url, key_ring(VKEY), log)


def troubled(trouble: Trouble) -> pytest.RaisesExc[WitnessError]:
    return pytest.RaisesExc(WitnessError, check=lambda error: error.trouble == trouble)


async def test_each_checkpoint_is_cosigned_from_the_one_before(
    witness: Witness, fake: FakeWitness, log: SmallLog
) -> None:
    for size in (1, 5, 64, 64, 100):
        lines = await witness.cosign(log.note(size))
        opened = open_checkpoint(
            log.note(size) + "".join(lines), trust([log.signer.verifier_key], witnesses=[VKEY], quorum=1)
        )
        assert opened.size == size
    assert [body.partition("\n")[0] for body in fake.bodies] == ["old 0", "old 1", "old 5", "old 64", "old 64"]


async def test_a_witness_that_remembers_more_than_we_do_is_asked_from_there(
    witness: Witness, fake: FakeWitness, log: SmallLog
) -> None:
    fake.sizes[log.signer.name] = read_checkpoint(log.note(37))
    assert await witness.cosign(log.note(100)) == [cosignature(read_checkpoint(log.note(100)))]
    assert [body.partition("\n")[0] for body in fake.bodies] == ["old 0", "old 37"]


async def test_a_witness_that_has_forgotten_is_asked_from_the_beginning(
    witness: Witness, fake: FakeWitness, log: SmallLog
) -> None:
    await witness.cosign(log.note(10))
    fake.sizes.clear()
    assert await witness.cosign(log.note(20))


async def test_a_witness_that_has_seen_a_larger_tree_is_a_trouble_of_its_own(
    witness: Witness, fake: FakeWitness, log: SmallLog
) -> None:
    fake.sizes[log.signer.name] = read_checkpoint(log.note(50))
    with troubled(Trouble.AHEAD):
        await witness.cosign(log.note(20))


async def test_a_fork_is_named(witness: Witness, fake: FakeWitness, log: SmallLog) -> None:
    forged = [leaf_hash(b"forged"), *LEAVES[1:]]
    fake.sizes[log.signer.name] = read_checkpoint(log.note(20, forged))
    with troubled(Trouble.FORK):
        await witness.cosign(log.note(20))
    with troubled(Trouble.PROOF_REFUSED):
        await witness.cosign(log.note(30))


async def test_a_witness_too_far_behind_cannot_be_reached(witness: Witness, fake: FakeWitness, log: SmallLog) -> None:
    fake.sizes[log.signer.name] = read_checkpoint(log.note(5))
    log.cut = 6
    with troubled(Trouble.OUT_OF_REACH):
        await witness.cosign(log.note(20))


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        (400, Trouble.REQUEST_REFUSED),
        (403, Trouble.KEY_UNKNOWN),
        (404, Trouble.LOG_UNKNOWN),
        (422, Trouble.PROOF_REFUSED),
        (302, Trouble.REQUEST_REFUSED),
        (204, Trouble.REQUEST_REFUSED),
        (429, Trouble.UNAVAILABLE),
        (500, Trouble.UNAVAILABLE),
        (503, Trouble.UNAVAILABLE),
    ],
)
async def test_each_refusal_has_its_name(
    witness: Witness, fake: FakeWitness, log: SmallLog, status: int, trouble: Trouble
) -> None:
    fake.answers.append(web.Response(status=status, headers={"Location": "/elsewhere"}))
    with troubled(trouble):
        await witness.cosign(log.note(3))
    assert len(fake.bodies) == 1


@pytest.mark.parametrize("body", [b"", b"7", b"07\n", b"+7\n", b"7\n\n", b" 7\n", b"-1\n", b"\xd9\xa7\n", b"0\n"])
async def test_a_conflict_must_tell_another_size_in_its_form(
    witness: Witness, fake: FakeWitness, log: SmallLog, body: bytes
) -> None:
    fake.answers.append(web.Response(status=409, body=body, headers={"Content-Type": "text/x.tlog.size"}))
    with troubled(Trouble.ANSWER_MALFORMED):
        await witness.cosign(log.note(9))


async def test_a_conflict_without_its_type_is_malformed(witness: Witness, fake: FakeWitness, log: SmallLog) -> None:
    fake.answers.append(web.Response(status=409, text="7\n"))
    with troubled(Trouble.ANSWER_MALFORMED):
        await witness.cosign(log.note(9))


async def test_a_witness_that_never_makes_up_its_mind_is_left_alone(
    witness: Witness, fake: FakeWitness, log: SmallLog
) -> None:
    types = {"Content-Type": "text/x.tlog.size"}
    fake.answers += [web.Response(status=409, body=b"%d\n" % size, headers=types) for size in (3, 4, 3, 4, 3, 4)]
    with troubled(Trouble.UNAVAILABLE):
        await witness.cosign(log.note(9))
    assert len(fake.bodies) == 3


@pytest.mark.parametrize(
    "body", [b"", b"<html>\n", b"\xff\xfe\n", "— stranger.test AAAAAAAA\n".encode(), b"A" * 70_000]
)
async def test_garbage_is_no_cosignature(witness: Witness, fake: FakeWitness, log: SmallLog, body: bytes) -> None:
    fake.answers.append(web.Response(body=body))
    with pytest.raises(WitnessError) as error:
        await witness.cosign(log.note(3))
    assert error.value.trouble in {Trouble.ANSWER_MALFORMED, Trouble.SIGNATURE_WRONG}


async def test_a_cosignature_of_another_checkpoint_is_not_attached(
    witness: Witness, fake: FakeWitness, log: SmallLog
) -> None:
    fake.answers.append(web.Response(text=cosignature(read_checkpoint(log.note(2)))))
    with troubled(Trouble.SIGNATURE_WRONG):
        await witness.cosign(log.note(3))


async def test_a_slow_witness_is_not_waited_for(url: str, fake: FakeWitness, log: SmallLog) -> None:
    fake.free.clear()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.05)) as session:
        witness = Witness(session, url, key_ring(VKEY), log)
        with troubled(Trouble.UNAVAILABLE):
            await witness.cosign(log.note(3))


async def test_a_witness_that_is_not_there_is_unavailable(session: aiohttp.ClientSession, log: SmallLog) -> None:
    with troubled(Trouble.UNAVAILABLE):
        await Witness(session, "http://127.0.0.1:9", key_ring(VKEY), log).cosign(log.note(3))


async def test_the_worker_attaches_what_the_witness_signed_and_asks_once_a_checkpoint(
    url: str, witness: Witness, fake: FakeWitness, log: SmallLog
) -> None:
    worker = Witnessing(url, key_ring(VKEY), "evidence", log, log, log)
    await worker.once(witness, log)
    assert fake.bodies == []  # an empty log has nothing to witness
    log.size = 8
    await worker.once(witness, log)
    await worker.once(witness, log)
    assert len(fake.bodies) == 1
    assert log.served == log.note(8) + cosignature(read_checkpoint(log.note(8)))
    assert log.kept == [f"{read_checkpoint(log.note(8)).text}\n{cosignature(read_checkpoint(log.note(8)))}"]


async def test_what_the_witness_signed_is_kept_also_when_the_log_has_grown_meanwhile(
    url: str, witness: Witness, fake: FakeWitness, log: SmallLog
) -> None:
    worker = Witnessing(url, key_ring(VKEY), "evidence", log, log, log)
    log.size = 8
    fake.free.clear()
    asking = asyncio.create_task(worker.once(witness, log))
    await fake.asked.wait()
    log.size = 9
    log.checkpoint(await log.head())
    fake.free.set()
    await asking
    assert log.served == log.note(9), "what is served is the newest, without lines for now"
    assert [one.split("\n")[1] for one in log.kept] == ["8"]


async def test_the_worker_lives_on_when_nothing_answers(
    url: str, witness: Witness, fake: FakeWitness, log: SmallLog
) -> None:
    worker = Witnessing(url, key_ring(VKEY), "evidence", log, log, log)
    log.size = 8
    fake.answers.append(web.Response(status=500))
    await worker.once(witness, log)
    assert log.served == log.note(8)
    for failure in (DomainError(Reason.DEPENDENCY_UNAVAILABLE, dependency="database"), TileMissingError("tile/0/000")):
        log.failure = failure
        await worker.once(witness, log)
    log.failure = None
    await worker.once(witness, log)
    assert log.served.endswith(cosignature(read_checkpoint(log.note(8))))


async def test_the_worker_goes_on_until_it_is_cancelled(url: str, fake: FakeWitness, log: SmallLog) -> None:
    log.size = 8
    running = asyncio.create_task(Witnessing(url, key_ring(VKEY), "evidence", log, log, log).run(log, pause=0.0))
    await log.attached.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert log.served.endswith(cosignature(read_checkpoint(log.note(8))))
