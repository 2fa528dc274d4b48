"""Files of the logs: which are asked for, which are remembered, and for how long."""

import pytest
from igstats_gateway.log_files import REMEMBER, LogFiles
from igstats_gateway.model import LogFile
from igstats_kit.errors import DomainError, Reason
from igstats_kit.testing.clock import FakeClock

TILE = "tile/0/x001/234"


class World:
    """An audit service that answers everything, and remembers being asked."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.asked: list[tuple[str, str]] = []
        self.content = bytes(100)
        self.files = LogFiles(self.fetch, self.clock, most_bytes=250)

    async def fetch(self, log: str, path: str, _call_id: str) -> LogFile:
        self.asked.append((log, path))
        return LogFile(self.content, path != "checkpoint")

    async def read(self, path: str, log: str = "evidence") -> LogFile:
        return await self.files.read(log, path, "req_1")


@pytest.fixture
def world() -> World:
    return World()


async def test_a_full_tile_is_asked_for_once(world: World) -> None:
    assert [(await world.read(TILE)).immutable for _ in range(2)] == [True, True]
    assert world.asked == [("evidence", TILE)]


async def test_the_two_logs_are_not_mixed(world: World) -> None:
    await world.read(TILE)
    world.content = b"other"
    assert (await world.read(TILE, "access")).content == b"other"


@pytest.mark.parametrize("path", ["checkpoint", "keys", "tile/0/000.p/1", "tile/entries/x001/234.p/255"])
async def test_what_a_longer_log_replaces_is_asked_for_again(world: World, path: str) -> None:
    assert [(await world.read(path)).immutable for _ in range(2)] == [False, False]
    assert len(world.asked) == 2


async def test_a_tile_is_forgotten_before_it_outlives_its_retention(world: World) -> None:
    await world.read(TILE)
    world.clock.advance(REMEMBER)
    await world.read(TILE)
    assert len(world.asked) == 2


async def test_memory_is_bounded_and_what_was_used_last_stays(world: World) -> None:
    for path in ("tile/0/000", "tile/0/001", "tile/0/000", "tile/0/002"):
        await world.read(path)
    assert world.files._bytes == 200
    await world.read("tile/0/000")
    assert len(world.asked) == 3
    await world.read("tile/0/001")
    assert len(world.asked) == 4


async def test_a_file_larger_than_the_memory_is_passed_on(world: World) -> None:
    world.content = bytes(1000)
    await world.read(TILE)
    assert world.files._bytes == 0


@pytest.mark.parametrize(
    "path",
    [
        *(
            "",
            "checkpoint/",
            "/checkpoint",
            "keys/",
            "tile",
            "tile/0",
            "tile/64/000",
            "tile/00/000",
            "tile/0/0",
            "tile/0/0000",
        ),
        *("tile/0/001/234", "tile/0/x1/234", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/-1/000"),
        *("tile/0/../../checkpoint", "tile/entry/000", "tile/0/000\n", "tile/0/\uff11\uff12\uff13"),
    ],
)
async def test_what_no_log_has_is_not_asked_for(world: World, path: str) -> None:
    with pytest.raises(DomainError) as refused:
        await world.read(path)
    assert refused.value.reason is Reason.LOG_FILE_NOT_FOUND
    assert world.asked == []


async def test_there_are_two_logs(world: World) -> None:
    with pytest.raises(DomainError):
        await world.read("checkpoint", "unspecified")
