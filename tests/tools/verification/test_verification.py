"""Databases that disagree are found out: each kind of disagreement is made by hand, in the databases of the real services."""

from collections.abc import Callable

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from libs import ids
from libs.clock import system_clock
from services.audit.checkpoints import Checkpoints, CheckpointSigner
from tests.services.audit.accesses import a_database, an_access, record
from tests.support.postgres import DatabaseUrl
from tools.verification import SERVICES, Finding, verify

Url = Callable[[str], str]
PEM = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
REGISTRATION, PERSON = ids.new_id(), ids.new_id()


@pytest.fixture
def url(database_url: DatabaseUrl) -> Url:
    """The databases of seven services, as their migrations leave them."""
    return {service: database_url(service) for service in SERVICES}.__getitem__


async def run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def faults(url: Url) -> list[Finding]:
    return [finding for finding in await verify(url) if finding.is_fault]


def a_change(feed: str, key: str, transaction: int, event: bytes = b"") -> str:
    return (
        "INSERT INTO changes (transaction, feed, partition, key, event)"
        f" VALUES ('{transaction}', '{feed}', 0, '{key}', '\\x{event.hex()}')"
    )


def a_cursor(source: str, feed: str, cursor: str) -> str:
    return f"INSERT INTO feed_cursors (source, feed, group_number, cursor) VALUES ('{source}', '{feed}', 0, '{cursor}')"


def a_registration(version: int) -> str:
    return (
        "INSERT INTO registrations (registration_id, organization_id, local_number, person_id, version, content, features,"
        " citizen_key, written_at, decision_id, recorded_at)"
        f" VALUES ('{REGISTRATION}', '99001', '1', '{PERSON}', {version}, '', '[]', '', now(), '{PERSON}', now())"
    )


def a_placement(person: str, version: int) -> str:
    return f"INSERT INTO placements VALUES ('{REGISTRATION}', '99001', '{person}', '', {version})"


async def test_databases_that_agree_have_no_fault(url: Url) -> None:
    found = await verify(url)
    assert {finding.what.split(":")[0] for finding in found} >= {"records", "claims", "surveillance", "audit"}
    assert not [finding for finding in found if finding.is_fault]


async def test_a_follower_that_stands_where_its_source_has_not_been_is_found(url: Url) -> None:
    await run(url("records"), a_change("records", "Encounter/1", 700))
    await run(url("claims"), a_cursor("records", "records", "700.1"))
    assert not await faults(url)
    await run(url("claims"), "UPDATE feed_cursors SET cursor = '701.2'")
    (fault,) = await faults(url)
    assert fault.what == "claims follows records/records"
    assert "recovered to an earlier time" in fault.said


async def test_a_follower_that_waited_longer_than_the_log_is_kept_is_found(url: Url) -> None:
    await run(url("records"), "INSERT INTO feed_horizons VALUES ('records', '700', 9)")
    await run(url("claims"), a_cursor("records", "records", "600.1"))
    (fault,) = await faults(url)
    assert "take a snapshot" in fault.said
    await run(url("claims"), "UPDATE feed_cursors SET cursor = '700.9'")
    assert not await faults(url)


async def test_a_projection_that_says_something_else_is_found_and_named_but_not_where_it_waits_to_be_told(
    url: Url,
) -> None:
    await run(url("patient_index"), a_registration(2))
    for service, tables in {"records": "registrations", "audit": "placements", "surveillance": "placements"}.items():
        columns = {"registrations": "(registration_id, organization_id, person_id, citizen_key, version)"}.get(
            tables, ""
        )
        values = {
            "records": f"('{REGISTRATION}', '99001', '{PERSON}', '', 2)",
            "audit": f"('{REGISTRATION}', '{PERSON}', '', 2)",
            "surveillance": f"('{REGISTRATION}', '{PERSON}', '', NULL, 0, '', 2)",
        }[service]
        await run(url(service), f"INSERT INTO {tables} {columns} VALUES {values}")
    await run(url("claims"), a_placement(PERSON, 1))
    (fault,) = await faults(url)
    assert fault.what == "claims: whom registrations stand for"
    assert REGISTRATION in fault.said

    await run(url("patient_index"), a_change("patient_index", REGISTRATION, 700))
    await run(url("claims"), a_cursor("patient_index", "patient_index", ""))
    assert not await faults(url)
    await run(url("claims"), "UPDATE feed_cursors SET cursor = '700.1'")
    assert [fault.what for fault in await faults(url)] == ["claims: whom registrations stand for"]


async def test_a_visit_that_records_does_not_have_is_found(url: Url) -> None:
    await run(url("claims"), "INSERT INTO visits VALUES ('visit-1', 'registration-1', '99001', 1, 1)")
    (fault,) = await faults(url)
    assert (fault.what, "visit-1" in fault.said) == ("claims: visits", True)


async def test_the_audit_log_answers_for_what_was_announced_and_signed(url: Url) -> None:
    first, second = an_access(), an_access()
    await run(
        url("records"), *(a_change("access", one.event_id, 700, one.SerializeToString()) for one in (first, second))
    )
    await run(url("audit"), a_cursor("records", "access", "700.2"))
    async with a_database(url("audit")) as database:
        await record(database, first)
        (fault,) = await faults(url)
        assert fault.what == "audit: accesses that records announced"
        await record(database, second)
        signer = CheckpointSigner(Ed25519PrivateKey.generate().private_bytes(*PEM).decode(), system_clock)
        await Checkpoints(database, signer).sign_growth()
        assert not await faults(url)

    for tampered, said in (
        (
            "UPDATE checkpoints SET note = replace(note, chr(8212) || ' nhip.th/audit ', chr(8212) || ' nhip.th/audit AAAA')",
            "the signature of 2 entries does not hold",
        ),
        ("UPDATE checkpoints SET root_hash = sha256('x')", "the first 2 entries are not those that were signed"),
        ("UPDATE entries SET salt = sha256('x')::bytea WHERE leaf_index = 1", "entry 1 is not what was committed to"),
        ("DELETE FROM entries WHERE leaf_index = 0", "entry 0 is missing"),
    ):
        await run(url("audit"), tampered)
        assert said in [fault.said for fault in await faults(url)]


async def test_a_signed_head_of_more_than_there_is_is_found(url: Url) -> None:
    async with a_database(url("audit")) as database:
        await record(database, an_access())
        signer = CheckpointSigner(Ed25519PrivateKey.generate().private_bytes(*PEM).decode(), system_clock)
        await Checkpoints(database, signer).sign_growth()
    await run(url("audit"), "DELETE FROM entries")
    assert [fault.said for fault in await faults(url)] == ["0 entries, and a checkpoint of 1 is signed"]
