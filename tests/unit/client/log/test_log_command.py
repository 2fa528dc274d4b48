"""`igstats log audit` against a log that is served over HTTPS, as everybody reads it."""

import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from igstats_audit.leaf import Leaf, encode
from igstats_client.errors import ApiError
from igstats_client.log_checking import Cut, find_cut
from igstats_client.log_files import LogFiles
from igstats_client.tiles import TileError, tile_path
from igstats_kit.testing.certificates import Authority

Run = Callable[..., Any]
Written = Any
"""What conftest.py writes."""

MOMENT = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass
class PlayedGateway:
    """Serves files below /log/evidence; the first answers may be other ones."""

    files: dict[str, bytes]
    url: str = ""
    first: list[tuple[int, str]] = field(default_factory=list)
    location: str = ""
    missing: int = 0

    def answer(self, path: str) -> tuple[int, bytes, str]:
        if self.first:
            status, pause = self.first.pop(0)
            return status, b"", pause
        content = self.files.get(path.removeprefix("/log/evidence/"))
        return (404, b"", "") if content is None else (200, content, "")


@pytest.fixture
def gateway(
    run: Run, small_log: Written, certificates: Authority, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PlayedGateway]:
    del run  # it clears the environment that is set here
    keys = "".join(f"{key}\n" for key in small_log.signer.verifier_keys).encode()
    played = PlayedGateway({**small_log.files, "keys": keys})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content, pause = played.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content) + played.missing))
            if played.location:
                self.send_header("Location", played.location)
            if pause:
                self.send_header("Retry-After", pause)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing to say."""

    issued = certificates.issue("gateway")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    played.url = f"https://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("IGSTATS_HTTP_URL", played.url)
    monkeypatch.setenv("IGSTATS_CA", str(certificates.certificate))
    yield played
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_log_that_holds_is_checked_and_it_is_said_what_is_not_proved(run: Run, gateway: PlayedGateway) -> None:
    ran = run("log", "audit")
    assert (ran.code, ran.error) == (0, "")
    assert "igstats.test/evidence: 600 leaves" in ran.out
    assert "the leaves 0 to 599 make the signed root" in ran.out
    assert "not proved: whose keys signed" in ran.out
    shown = [line.strip() for line in ran.out.splitlines()[-2:]]
    assert shown == ["+".join(key.split("+", 2)[:2]) for key in _keys(gateway)]
    assert json.loads(run("log", "audit", "--json").out)["keys"] == _keys(gateway)


def _keys(gateway: PlayedGateway) -> list[str]:
    return gateway.files["keys"].decode().splitlines()


@pytest.mark.usefixtures("gateway")
def test_a_reader_who_has_the_keys_pins_them(run: Run, small_log: Written) -> None:
    pins = [part for key in small_log.signer.verifier_keys for part in ("--log-key", key)]
    found = json.loads(run("log", "audit", "evidence", "--json", *pins).out)
    assert (found["verified"], found["pinned"], found["size"], found["first"]) == (True, True, 600, 0)
    forged = pins[1][:-8] + ("AAAAAAA=" if not pins[1].endswith("AAAAAAA=") else "BBBBBBB=")
    assert run("log", "audit", "--log-key", forged).code == 1


def test_a_changed_file_is_named(run: Run, gateway: PlayedGateway) -> None:
    path = tile_path(0, 1)
    gateway.files[path] = gateway.files[path][:-1] + bytes([gateway.files[path][-1] ^ 1])
    ran = run("log", "audit")
    assert ran.code == 1
    assert ran.error.startswith(f"igstats: {path}: ")


def test_what_the_log_has_forgotten_is_said(run: Run, gateway: PlayedGateway) -> None:
    for level in (0, None):
        del gateway.files[tile_path(level, 0)]
    ran = run("log", "audit")
    assert (ran.code, ran.error) == (0, "")
    assert "the leaves 256 to 599 make the signed root" in ran.out
    assert "gone: 256 leaves before 256" in ran.out
    assert "asked for all of their 1 files, the log has none" in ran.out
    assert "not proved: that they had to go" in ran.out
    told = json.loads(run("log", "audit", "--json").out)
    assert (told["first"], told["gone_files"], told["gone_files_asked"], told["oldest_time"]) == (256, 1, 1, "")


def test_a_reader_names_the_first_leaf_that_must_be_there(run: Run, gateway: PlayedGateway) -> None:
    assert run("log", "audit", "--from", "0").code == 0
    for level in (0, None):
        del gateway.files[tile_path(level, 0)]
    assert [run("log", "audit", "--from", start).code for start in ("256", "300", "599")] == [0, 0, 0]
    ran = run("log", "audit", "--from", "255")
    assert (ran.code, ran.out) == (1, "")
    assert ran.error == "igstats: tile/entries/000: the log does not have leaf 255, nor any before 256\n"
    assert "none of index 600" in run("log", "audit", "--from", "600").error


def test_of_what_is_gone_the_end_is_said_by_its_time(
    run: Run, gateway: PlayedGateway, write_log: Callable[[list[bytes]], Written]
) -> None:
    leaves = [encode(Leaf("a.b", "audit", 0, MOMENT + timedelta(minutes=n), bytes(32))) for n in range(300)]
    log = write_log(leaves)
    gateway.files = {**log.files, "keys": "".join(f"{key}\n" for key in log.signer.verifier_keys).encode()}
    for level in (0, None):
        del gateway.files[tile_path(level, 0)]
    assert "the oldest leaf that is there: 256, of 2026-11-23T16:16Z" in run("log", "audit").out


def test_a_log_without_any_leaf_proves_nothing(
    run: Run, gateway: PlayedGateway, write_log: Callable[[list[bytes]], Written]
) -> None:
    log = write_log([b"x"] * 512)
    gateway.files = {**log.files, "keys": "".join(f"{key}\n" for key in log.signer.verifier_keys).encode()}
    assert run("log", "audit").code == 0
    for level, place in ((0, 0), (None, 0), (0, 1), (None, 1)):
        del gateway.files[tile_path(level, place)]
    ran = run("log", "audit")
    assert (ran.code, "the log has no leaf at all" in ran.error) == (1, True)


def test_a_missing_file_among_older_ones_is_no_end_of_retention(run: Run, gateway: PlayedGateway) -> None:
    for level in (0, None):
        del gateway.files[tile_path(level, 1)]
    ran = run("log", "audit")
    told = "the log does not have it, nor has it been cut: there is the older tile/entries/000"
    assert (ran.code, ran.error) == (1, f"igstats: tile/entries/001: {told}\n")


@pytest.mark.parametrize(("cut", "missing"), [(cut, one) for cut in range(9) for one in range(cut + 1, 10)])
def test_wherever_a_file_is_missing_no_older_one_that_is_there_is_passed_over(cut: int, missing: int) -> None:
    there = {tile_path(None, place): b"x" for place in range(cut, 10) if place != missing}
    found: list[int] = []
    with contextlib.suppress(TileError):
        found.append(find_cut(there.get, 10 * 256).files)
    assert found in ([], [cut])  # the cut itself: then every file is read, and the missing one named


@dataclass
class Sparse:
    """A log of so many files, of which some ranges are gone; counts what it is asked."""

    gone: list[range]
    asked: int = 0

    def read(self, path: str) -> bytes | None:
        self.asked += 1
        place = int(path.removeprefix("tile/entries/").replace("/", "").replace("x", ""))
        return None if any(place in one for one in self.gone) else b"x"


@given(data=st.data())
def test_in_a_long_log_files_that_are_there_below_missing_ones_are_found(data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, 1_000_000))
    hole = data.draw(st.integers(1, 1_000_000))
    there = data.draw(st.integers((hole + 1) // 255 + 2, 100_000))  # more than a 256th of the way back to its end
    start = cut + there
    log = Sparse([range(cut), range(start, start + hole)])
    found: list[int] = []
    with contextlib.suppress(TileError):
        found.append(find_cut(log.read, (start + hole + 5) * 256).files)
    assert found in ([], [cut])


@pytest.mark.parametrize(("gone", "most"), [(0, 8), (1, 8), (512, 530), (4_000, 1_200), (1_000_000, 2_600)])
def test_what_is_gone_costs_few_requests(gone: int, most: int) -> None:
    log = Sparse([range(gone)])
    assert find_cut(log.read, (gone + 100) * 256).files == gone
    assert log.asked <= most


@pytest.mark.parametrize("gone", [0, 1, 2, 511, 512])
def test_of_512_files_that_are_gone_each_is_asked_for(gone: int) -> None:
    assert find_cut(Sparse([range(gone)]).read, 600 * 256) == Cut(gone, gone)


@pytest.mark.parametrize("gone", range(7))
def test_the_first_leaf_that_is_there_is_found(gone: int) -> None:
    read = dict.fromkeys((tile_path(None, place) for place in range(gone, 6)), b"x").get
    assert find_cut(read, 6 * 256 + 5).first == gone * 256


def test_who_is_asked_to_wait_waits_and_asks_again(gateway: PlayedGateway, certificates: Authority) -> None:
    waited: list[float] = []
    files = LogFiles(gateway.url, certificates.certificate, "evidence", waited.append)
    gateway.first = [(429, "7")]
    assert files.read("checkpoint") == gateway.files["checkpoint"]
    assert waited == [7]
    gateway.first = [(429, "3600")]
    with pytest.raises(ApiError, match="HTTP 429"):
        files.read("checkpoint")
    gateway.first = [(500, "")]
    with pytest.raises(ApiError, match="HTTP 500"):
        files.read("checkpoint")
    assert waited == [7]


@pytest.mark.parametrize(("pause", "times"), [("0", 300), ("7", 42)])
def test_nobody_makes_a_reader_ask_without_rest_or_end(
    gateway: PlayedGateway, certificates: Authority, pause: str, times: int
) -> None:
    waited: list[float] = []
    files = LogFiles(gateway.url, certificates.certificate, "evidence", waited.append)
    gateway.first = [(429, pause)] * 1000
    with pytest.raises(ApiError, match="HTTP 429"):
        files.read("checkpoint")
    assert waited == [max(1, int(pause))] * times


@pytest.mark.parametrize("pause", ["-1", "1.5", "soon", pytest.param("9" * 5000, id="long")])
def test_a_pause_that_is_no_number_of_seconds_is_not_waited_for(
    gateway: PlayedGateway, certificates: Authority, pause: str
) -> None:
    waited: list[float] = []
    gateway.first = [(429, pause)]
    with pytest.raises(ApiError, match="HTTP 429"):
        LogFiles(gateway.url, certificates.certificate, "evidence", waited.append).read("checkpoint")
    assert waited == []


def test_nobody_sends_a_reader_elsewhere(gateway: PlayedGateway, certificates: Authority) -> None:
    files = LogFiles(gateway.url, certificates.certificate, "evidence")
    for status in (301, 302, 303, 307, 308):
        gateway.first, gateway.location = [(status, "")], f"{gateway.url}/log/evidence/keys"
        with pytest.raises(ApiError, match=f"HTTP {status}"):
            files.read("checkpoint")


@pytest.mark.parametrize(
    ("path", "most"), [("checkpoint", 1 << 20), (tile_path(0, 0), 8_192), (tile_path(None, 0), 256 * (2 + 65_535))]
)
def test_no_file_is_read_beyond_what_it_can_have(
    gateway: PlayedGateway, certificates: Authority, path: str, most: int
) -> None:
    files = LogFiles(gateway.url, certificates.certificate, "evidence")
    gateway.files[path] = bytes(most)
    assert len(files.read(path) or b"") == most
    gateway.files[path] += b"x"
    with pytest.raises(ApiError, match="TOO_LARGE"):
        files.read(path)


def test_an_answer_that_breaks_off_is_no_file(gateway: PlayedGateway, certificates: Authority) -> None:
    gateway.missing = 1
    with pytest.raises(OSError, match="breaks off"):
        LogFiles(gateway.url, certificates.certificate, "evidence").read("checkpoint")


def test_what_cannot_be_read_is_told_in_words(
    run: Run, gateway: PlayedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    del gateway.files["keys"]
    assert "has no file keys" in run("log", "audit").error
    monkeypatch.setenv("IGSTATS_HTTP_URL", "https://127.0.0.1:1")
    assert "cannot be read" in run("log", "audit").error
    monkeypatch.setenv("IGSTATS_HTTP_URL", "http://127.0.0.1:1")
    assert "IGSTATS_HTTP_URL" in run("log", "audit").error
