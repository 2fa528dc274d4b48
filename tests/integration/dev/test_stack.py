from pathlib import Path

from igstats_dev.report import SilentReport
from igstats_dev.stack import running


async def test_a_restart_keeps_data_addresses_and_keys(tmp_path: Path) -> None:
    seen = []
    for _ in range(2):
        async with running(tmp_path / "data", SilentReport(), ()) as stack:
            async with stack.postgres.admin() as connection:
                await connection.execute("CREATE TABLE IF NOT EXISTS kept (word text)")
                await connection.execute("INSERT INTO kept VALUES ('x')")
                words = await connection.fetchval("SELECT count(*) FROM kept")
            async with stack.nats.operator(stack.layout.certificates["operator"]) as client:
                await client.jetstream().add_stream(name="KEPT", subjects=["kept"])
                messages = (await client.jetstream().publish("kept", b"x")).seq
            key = stack.layout.secrets.path("suppression.key").read_bytes()
            seen.append((words, messages, key, stack.layout.ports))
    (first_words, first_messages, *first), (second_words, second_messages, *second) = seen
    assert (first_words, first_messages) == (1, 1)
    assert (second_words, second_messages) == (2, 2)
    assert first == second


async def test_a_part_that_dies_is_started_again_and_it_is_said(tmp_path: Path) -> None:
    report = SilentReport()
    async with running(tmp_path / "data", report, ()) as stack:
        for name, part in stack.parts.items():
            pid = part.child.pid
            await part.kill()
            await part.ready()
            assert part.child.pid != pid
            assert f"{name} killed by signal 9, again in 0.2 s" in report.deaths


async def test_a_committed_row_survives_the_death_of_the_database(tmp_path: Path) -> None:
    async with running(tmp_path / "data", SilentReport(), ()) as stack:
        async with stack.postgres.admin() as connection:
            assert await connection.fetchval("SHOW fsync") == "on"
            await connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        await stack.parts["postgres"].kill()
        await stack.parts["postgres"].ready()
        async with stack.postgres.admin() as connection:
            assert await connection.fetchval("SELECT one FROM kept") == 1


async def test_files_with_secrets_are_for_their_owner_only(tmp_path: Path) -> None:
    async with running(tmp_path / "data", SilentReport(), ()) as stack:
        folder = stack.layout.folder
        keys = [*folder.glob("secrets/*"), *folder.glob("*.env"), *folder.glob("certificates/*.key")]
        assert len(keys) > 20
        assert [path.name for path in keys if path.stat().st_mode & 0o077] == []
        assert folder.stat().st_mode & 0o077 == 0
