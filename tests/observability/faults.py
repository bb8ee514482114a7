"""For each alert, what is broken so that it fires: RPCs by NHIP_FAULTS, processes by signals, data by hand."""

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx

from libs.thai import citizen_id as check_digit
from tests.libs.f43.zips import a_row, a_text, a_zip
from tests.observability.stand import Stand
from tools.nhip import authority as authorities
from tools.nhip.authority import Authority
from tools.nhip.edge import EdgeClient
from tools.nhip.enrol import client_id
from tools.nhip.journey.resources import CITIZEN_ID, local_system
from tools.nhip.platform import PlatformError

Break = Callable[[Stand], AbstractContextManager[None]]


def sql(stand: Stand, service: str, *statements: str) -> list[asyncpg.Record]:
    """Changes a service's database behind its back; answers the last statement's rows."""

    async def run() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(stand.platform.databases.url(service))
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return await connection.fetch(statements[-1])
        finally:
            await connection.close()

    return asyncio.run(run())


def rpcs(faults: str) -> Break:
    """RPCs fail, or are slow."""
    return lambda stand: stand.rpcs(faults)


def stopped(service: str, seconds: float = 0.0) -> Break:
    """A process stands still; for so long, where it is said."""

    @contextlib.contextmanager
    def breaking(stand: Stand) -> Iterator[None]:
        stand.platform.kill(service, signal.SIGSTOP)
        try:
            time.sleep(seconds)
            if not seconds:
                yield
        finally:
            stand.platform.kill(service, signal.SIGCONT)
            stand.platform.wait_healthy(service)
        if seconds:
            yield

    return breaking


@contextlib.contextmanager
def forgotten(stand: Stand) -> Iterator[None]:
    """Nothing is found under a service's name any more."""
    stand.target("surveillance", is_there=False)
    try:
        yield
    finally:
        stand.target("surveillance")


@contextlib.contextmanager
def without_keys(stand: Stand) -> Iterator[None]:
    """A service starts and does not know the keys that verify tokens."""
    keys = sql(stand, "surveillance", "SELECT key_id, jwk, not_before, not_after FROM verification_keys")
    sql(stand, "surveillance", "DELETE FROM verification_keys")
    stand.platform.kill("surveillance")
    try:
        yield
    finally:
        for key in keys:
            values = ", ".join(f"'{value}'" for value in key.values())
            sql(stand, "surveillance", f"INSERT INTO verification_keys VALUES ({values})")
        stand.platform.wait_healthy("surveillance")


@contextlib.contextmanager
def dying(stand: Stand) -> Iterator[None]:
    """A process dies again and again, each time as soon as its start was seen."""
    seen = ""
    for _ in range(5):
        while not (started := stand.query('process_start_time_seconds{job="surveillance"}')) or (
            started[0]["value"][1] == seen
        ):
            time.sleep(0.2)
        seen = started[0]["value"][1]
        with contextlib.suppress(PlatformError):
            stand.platform.kill("surveillance")
    try:
        yield
    finally:
        stand.platform.wait_healthy("surveillance")


@contextlib.contextmanager
def locked(stand: Stand, service: str, table: str) -> Iterator[None]:
    """Somebody holds a table, as a careless ALTER does."""
    loop = asyncio.new_event_loop()
    connection = loop.run_until_complete(asyncpg.connect(stand.platform.databases.url(service)))
    transaction = connection.transaction()
    loop.run_until_complete(transaction.start())
    loop.run_until_complete(connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
    try:
        yield
    finally:
        loop.run_until_complete(transaction.rollback())
        loop.run_until_complete(connection.close())
        loop.close()


@contextlib.contextmanager
def crowded(stand: Stand) -> Iterator[None]:
    """More callers than connections wait for a table that somebody holds."""
    ending = threading.Event()
    headers = {"authorization": f"Bearer {stand.trip.doctor_at_a._bearer()}"}

    def wait_for_it() -> None:
        with httpx.Client(base_url=stand.platform.edge_url, trust_env=False, timeout=30) as client:
            while not ending.is_set():
                with contextlib.suppress(httpx.HTTPError):
                    client.get(stand.asked[0][1], headers=headers)

    callers = [threading.Thread(target=wait_for_it) for _ in range(20)]
    with locked(stand, "records", "resources"):
        for caller in callers:
            caller.start()
        try:
            yield
        finally:
            ending.set()
    for caller in callers:
        caller.join()


@contextlib.contextmanager
def ending_soon(stand: Stand) -> Iterator[None]:
    """A service's certificate has an hour left."""
    folder = stand.platform.home.certificates
    days, authorities.LEAF_DAYS = authorities.LEAF_DAYS, 1 / 24
    try:
        (folder / "surveillance" / "tls.crt").unlink()
        Authority(folder, ["surveillance"]).make()
    finally:
        authorities.LEAF_DAYS = days
    try:
        yield
    finally:
        (folder / "surveillance" / "tls.crt").unlink()
        Authority(folder, ["surveillance"]).make()


@contextlib.contextmanager
def late(stand: Stand) -> Iterator[None]:
    """What audit follows is applied slowly, and comes faster."""
    sql(
        stand,
        "audit",
        "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(3); RETURN NULL; END $$",
        "CREATE TRIGGER slowly BEFORE INSERT ON entries FOR EACH STATEMENT EXECUTE FUNCTION slowly()",
    )
    try:
        yield
    finally:
        sql(stand, "audit", "DROP TRIGGER slowly ON entries", "DROP FUNCTION slowly()")


@contextlib.contextmanager
def refusing_rows(stand: Stand) -> Iterator[None]:
    """A projection cannot take what it is told."""
    sql(stand, "audit", "ALTER TABLE entries ADD CONSTRAINT nothing_more CHECK (false) NOT VALID")
    try:
        yield
    finally:
        sql(stand, "audit", "ALTER TABLE entries DROP CONSTRAINT nothing_more")


@contextlib.contextmanager
def refused_late(stand: Stand) -> Iterator[None]:
    """A citizen decides while records stand still, and it is enforced when they go on."""
    body = {"organizationId": stand.trip.population.hospital_a.hcode, "category": "CONSENT_CATEGORY_GENERAL"}
    stand.platform.kill("records", signal.SIGSTOP)
    try:
        answer = stand.trip.citizen_session.post("/v1/consents:revoke", body)
        time.sleep(8)
    finally:
        stand.platform.kill("records", signal.SIGCONT)
    assert answer.status == httpx.codes.OK
    yield


@contextlib.contextmanager
def forged(stand: Stand) -> Iterator[None]:
    """Somebody changes what was signed of the log."""
    # Done twice it is as it was.
    change = "UPDATE checkpoints SET root_hash = set_byte(root_hash, 0, get_byte(root_hash, 0) # 255)"
    sql(stand, "audit", change)
    try:
        yield
    finally:
        sql(stand, "audit", change)


@contextlib.contextmanager
def hanging(stand: Stand) -> Iterator[None]:
    """An import waits for a service that does not answer, and the next waits for it."""
    with stand.rpcs("patient_index.*:delay=50"):
        for number in (1, 2):
            _send(stand, [a_row(PID=str(number), HOSPCODE=_facility(stand).hcode, NAME="รอ")])
        yield


@contextlib.contextmanager
def bad_rows(stand: Stand) -> Iterator[None]:
    """A facility sends rows that say nothing."""
    rows = [a_row(PID=str(number), HOSPCODE=_facility(stand).hcode, SEX="9", BIRTH="31011970") for number in range(800)]
    _send(stand, rows)
    yield


def _facility(stand: Stand):
    return stand.trip.population.hospital_b


def _send(stand: Stand, rows: list[list[str]]) -> None:
    facility = _facility(stand)
    path = stand.folder / f"F43_{facility.hcode}_{time.monotonic_ns()}.zip"
    path.write_bytes(a_zip({"PERSON.txt": a_text(rows)}).getvalue())
    login = stand.platform.home.client(client_id(facility))
    with EdgeClient(stand.platform.edge_url, login, purpose="PURPOSE_OF_USE_OPERATIONS") as edge:
        edge.upload(path, "IMPORT_FORMAT_F43")


@contextlib.contextmanager
def unwritable(stand: Stand) -> Iterator[None]:
    """Where base backups were is something else."""
    folder, aside = stand.repository / "base", stand.repository / "aside"
    folder.rename(aside)
    folder.write_text("not a folder", encoding="utf-8")
    try:
        yield
    finally:
        folder.unlink()
        aside.rename(folder)


@contextlib.contextmanager
def old_review(stand: Stand) -> Iterator[None]:
    """Two hospitals wrote one number on two people, and nobody looked at the pair for eight days."""
    number = check_digit.make("977777777777")
    for doctor, facility, given, born in (
        (stand.trip.doctor_at_a, stand.trip.population.hospital_a, "สมชาย", "1984-02-29"),
        (stand.trip.doctor, stand.trip.population.hospital_b, "กิตติ", "1991-01-01"),
    ):
        told = {
            "resourceType": "Patient",
            "identifier": [
                {"system": CITIZEN_ID, "value": number},
                {"system": local_system(facility, "HN"), "value": "PAIR"},
            ],
            "name": [{"given": [given], "family": "ทดสอบ"}],
            "gender": "male",
            "birthDate": born,
        }
        assert doctor.post("/fhir/R4/Patient", told).status == httpx.codes.CREATED
    moment = datetime.now(UTC) - timedelta(days=8)
    changed = sql(stand, "patient_index", f"UPDATE reviews SET recorded_at = '{moment.isoformat()}' RETURNING 1")
    assert changed
    yield


FAULTS: dict[str, Break] = {
    # Seen by the index once a minute, and for a minute before it is told: begun first.
    "NhipReviewsOld": old_review,
    "NhipAvailabilityBudgetBurn": rpcs("records.*:error=0.5"),
    "NhipEdgeAvailabilityBudgetBurn": rpcs("records.*:error=0.5"),
    "NhipLatencyBudgetBurn": rpcs("records.*:delay=0.7"),
    "NhipEdgeLatencyBudgetBurn": rpcs("records.*:delay=1.5"),
    "NhipEventLoopBlocked": rpcs("claims.*:block=0.8"),
    "NhipStorageFull": rpcs("records.*:error=0.5,code=RESOURCE_EXHAUSTED"),
    "NhipServiceDown": stopped("surveillance"),
    "NhipReplicaDown": stopped("surveillance"),
    "NhipTargetMissing": forgotten,
    "NhipNotReady": without_keys,
    "NhipProbeBroken": rpcs("patient_index.SearchPersons:error=1"),
    "NhipRestarting": dying,
    "NhipPoolExhausted": crowded,
    "NhipBackupBehind": unwritable,
    "NhipBackupOld": unwritable,
    "NhipCertificateEnds": ending_soon,
    "NhipFeedBehind": late,
    "NhipFeedFailing": refusing_rows,
    "NhipFeedSilent": stopped("identity"),
    "NhipConsentSlow": refused_late,
    "NhipImportsReject": bad_rows,
    "NhipImportStuck": hanging,
    "NhipAuditInconsistent": forged,
    "NhipAuditStalled": forged,
    "NhipRefusalsSurge": rpcs("records.*:error=1,code=PERMISSION_DENIED"),
}
