"""Audit through real stubs and the real chain."""

from contextlib import asynccontextmanager
from datetime import timedelta

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from nhip.audit.v1 import events_pb2, resources_pb2, service_pb2, service_pb2_grpc
from nhip.options.v1 import options_pb2

from libs.access.caller import PATIENT_REQUEST, TREATMENT, CallerKind
from services.audit.__main__ import build
from services.audit.checkpoints import Checkpoints, CheckpointSigner
from services.audit.rules import merkle
from services.audit.rules.commitments import commitment
from tests.services.audit.accesses import START, a_placement, an_access, place, record
from tests.services.audit.test_checkpoints import verify
from tests.services.identity.calling import reason_of
from tests.support.serving import serving

KEY, OTHER_KEY = "citizen-key-of-one", "citizen-key-of-two"


class Audit:
    """A running audit."""

    def __init__(self, running):
        self.running = running
        self.database = running.database
        self.stub = running.stub(service_pb2_grpc.AuditServiceStub)

    async def call(self, method, request, metadata=()):
        return await getattr(self.stub, method)(request, metadata=metadata, timeout=10)

    def citizen(self, key=KEY):
        return self.running.token(
            scopes="person.self",
            kind=CallerKind.CITIZEN,
            subject=f"citizen/{key}",
            citizen_key=key,
            purpose=PATIENT_REQUEST,
        )

    def auditor(self):
        return self.running.token(scopes="audit.read", organization="nhip", subject="client/auditor")

    async def list(self, metadata, **request):
        return await self.call("ListAccesses", service_pb2.ListAccessesRequest(**request), metadata)

    async def indexes(self, metadata, **request):
        return [entry.index for entry in (await self.list(metadata, **request)).entries]


@asynccontextmanager
async def an_audit(url):
    async with serving("audit", build, url) as running:
        yield Audit(running)


async def signed(audit, size):
    """The checkpoint of a log of that size, made now."""
    ground = audit.running.process.ground
    signer = CheckpointSigner(ground.settings.secret_text("audit_key"), ground.clock)
    made = await Checkpoints(ground.database, signer).sign_growth()
    assert made.tree_size == size
    return (await audit.call("GetCheckpoint", service_pb2.GetCheckpointRequest())).checkpoint


async def test_a_citizen_sees_who_looked_at_any_of_their_registrations(database_url):
    async with an_audit(database_url("audit")) as audit:
        await place(
            audit.database, a_placement("r1", "p1", KEY), a_placement("r2", "p1"), a_placement("r3", "p3", OTHER_KEY)
        )
        looked = an_access(
            registration_ids=["r1"],
            person_ids=["p1"],
            resources=["Condition/1"],
            resource_count=1,
            purpose=TREATMENT,
            trace_id="0" * 32,
        )
        refused = an_access(
            registration_ids=["r2"], outcome=resources_pb2.ACCESS_OUTCOME_REFUSED, reason="CONSENT_REFUSED", minutes=1
        )
        await record(audit.database, looked, an_access(registration_ids=["r3"]), refused, an_access(citizen_key=KEY))
        answer = await audit.list(audit.citizen())
        assert [entry.index for entry in answer.entries] == [3, 2, 0]
        account, second, first = answer.entries
        assert (second.reason, second.outcome) == ("CONSENT_REFUSED", resources_pb2.ACCESS_OUTCOME_REFUSED)
        assert (first.caller_subject, first.organization_id, first.purpose) == ("practitioner/1", "10661", TREATMENT)
        assert (first.service, first.method) == ("records", "GetSummary")
        assert list(first.resources) == ["Condition/1"]
        assert list(first.registration_ids) == ["r1"]
        assert first.occurred_at.ToDatetime() == START.replace(tzinfo=None)
        assert account.registration_ids == []
        assert await audit.indexes(audit.citizen(OTHER_KEY)) == [1]
        assert await audit.indexes(audit.citizen("nobody")) == []


async def test_unlinking_and_linking_change_whose_history_it_is(database_url):
    async with an_audit(database_url("audit")) as audit:
        await place(audit.database, a_placement("r1", "p1", KEY), a_placement("r2", "p1", version=1))
        await record(audit.database, an_access(registration_ids=["r1"]), an_access(registration_ids=["r2"]))
        assert await audit.indexes(audit.citizen()) == [1, 0]
        await place(audit.database, a_placement("r2", "p2", version=2))
        assert await audit.indexes(audit.citizen()) == [0]
        assert await audit.indexes(audit.auditor(), person_id="p2") == [1]
        await place(audit.database, a_placement("r2", "p1", version=3))
        assert await audit.indexes(audit.citizen()) == [1, 0]


async def test_an_auditor_names_the_person_and_sees_the_whole_entry(database_url):
    async with an_audit(database_url("audit")) as audit:
        await place(audit.database, a_placement("r1", "p1", KEY), a_placement("r2", "p2"))
        together = an_access(registration_ids=["r1", "r2"], resources=["Condition/1", "Condition/2"])
        await record(audit.database, together, an_access(person_ids=["p1"]), an_access(citizen_key=KEY))
        answer = await audit.list(audit.auditor(), person_id="p1")
        assert [entry.index for entry in answer.entries] == [2, 1, 0]
        assert list(answer.entries[-1].registration_ids) == ["r1", "r2"]
        assert list(answer.entries[-1].resources) == ["Condition/1", "Condition/2"]
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await audit.list(audit.auditor())
        assert reason_of(refusal.value) == ("INVALID_ARGUMENT", "PERSON_REQUIRED")


async def test_a_citizen_learns_nothing_of_others_whom_the_same_call_touched(database_url):
    async with an_audit(database_url("audit")) as audit:
        await place(audit.database, a_placement("r1", "p1", KEY), a_placement("r2", "p2", OTHER_KEY))
        await record(
            audit.database, an_access(registration_ids=["r1", "r2"], resources=["Patient/r2"], resource_count=1)
        )
        (entry,) = (await audit.list(audit.citizen())).entries
        assert list(entry.registration_ids) == ["r1"]
        assert (list(entry.resources), entry.resource_count) == ([], 1)


async def test_a_history_is_paged_and_bounded_in_time(database_url):
    async with an_audit(database_url("audit")) as audit:
        await record(audit.database, *(an_access(citizen_key=KEY, minutes=number) for number in range(7)))
        citizen, found, token = audit.citizen(), [], ""
        while True:
            page = await audit.list(citizen, page_size=3, page_token=token)
            found.append([entry.index for entry in page.entries])
            token = page.next_page_token
            if not token:
                break
        assert found == [[6, 5, 4], [3, 2, 1], [0]]
        since = Timestamp()
        since.FromDatetime(START + timedelta(minutes=5))
        assert await audit.indexes(citizen, since=since) == [6, 5]
        first = await audit.list(citizen, page_size=3)
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await audit.list(audit.citizen(OTHER_KEY), page_token=first.next_page_token)
        assert reason_of(refusal.value) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await audit.list(citizen, since=Timestamp(seconds=10**15))
        assert reason_of(refusal.value) == ("INVALID_ARGUMENT", "TIME_INVALID")


async def test_an_opened_entry_recomputes_to_the_signed_root(database_url):
    async with an_audit(database_url("audit")) as audit:
        await record(audit.database, *(an_access(citizen_key=KEY, resources=[f"Patient/{n}"]) for n in range(11)))
        opened = await audit.call("OpenEntry", service_pb2.OpenEntryRequest(index=6), audit.citizen())
        assert events_pb2.AccessEvent.FromString(opened.content).resources == ["Patient/6"]
        assert commitment(opened.salt, opened.content) == opened.entry.leaf_hash
        checkpoint = await signed(audit, 11)
        verify(checkpoint.note, checkpoint.key_id)
        proof = await audit.call("GetInclusionProof", service_pb2.GetInclusionProofRequest(index=6))
        assert proof.tree_size == checkpoint.tree_size
        assert proof.leaf_hash == opened.entry.leaf_hash
        leaf = merkle.leaf_hash(commitment(opened.salt, opened.content))
        assert merkle.verify_inclusion(leaf, 6, proof.tree_size, proof.path, checkpoint.root_hash)


async def test_the_log_is_proven_to_extend_every_earlier_checkpoint(database_url):
    async with an_audit(database_url("audit")) as audit:
        roots = {}
        for size in (1, 2, 3, 8):
            await record(audit.database, *(an_access() for _ in range(size - max(roots, default=0))))
            roots[size] = (await signed(audit, size)).root_hash
        for first, second in ((1, 2), (1, 8), (2, 3), (3, 8), (8, 8)):
            request = service_pb2.GetConsistencyProofRequest(first_size=first, second_size=second)
            proof = await audit.call("GetConsistencyProof", request)
            assert merkle.verify_consistency(first, second, roots[first], roots[second], proof.path)
        newest = await audit.call("GetConsistencyProof", service_pb2.GetConsistencyProofRequest(first_size=3))
        assert (newest.second_size, merkle.verify_consistency(3, 8, roots[3], roots[8], newest.path)) == (8, True)


@pytest.mark.parametrize(
    ("method", "request_message", "expected"),
    [
        ("GetInclusionProof", service_pb2.GetInclusionProofRequest(index=4), ("NOT_FOUND", "ENTRY_UNKNOWN")),
        ("GetInclusionProof", service_pb2.GetInclusionProofRequest(index=2**64 - 1), ("NOT_FOUND", "ENTRY_UNKNOWN")),
        (
            "GetInclusionProof",
            service_pb2.GetInclusionProofRequest(index=3, tree_size=3),
            ("INVALID_ARGUMENT", "TREE_SIZE_INVALID"),
        ),
        (
            "GetInclusionProof",
            service_pb2.GetInclusionProofRequest(index=3, tree_size=2**63),
            ("INVALID_ARGUMENT", "TREE_SIZE_INVALID"),
        ),
        (
            "GetConsistencyProof",
            service_pb2.GetConsistencyProofRequest(first_size=3, second_size=2),
            ("INVALID_ARGUMENT", "TREE_SIZE_INVALID"),
        ),
        (
            "GetConsistencyProof",
            service_pb2.GetConsistencyProofRequest(first_size=3, second_size=5),
            ("INVALID_ARGUMENT", "TREE_SIZE_INVALID"),
        ),
        (
            "GetConsistencyProof",
            service_pb2.GetConsistencyProofRequest(second_size=3),
            ("INVALID_ARGUMENT", "FIELD_INVALID"),
        ),
    ],
)
async def test_proofs_about_what_never_was_are_refused(database_url, method, request_message, expected):
    async with an_audit(database_url("audit")) as audit:
        await record(audit.database, *(an_access() for _ in range(4)))
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await audit.call(method, request_message)
        assert reason_of(refusal.value) == expected


async def test_an_entry_opens_only_to_those_whom_the_list_shows_it_to(database_url):
    async with an_audit(database_url("audit")) as audit:
        await place(audit.database, a_placement("r1", "p1", KEY))
        await record(audit.database, an_access(registration_ids=["r1"]), an_access())
        request = service_pb2.OpenEntryRequest(index=0)
        assert (await audit.call("OpenEntry", request, audit.citizen())).content
        assert (await audit.call("OpenEntry", request, audit.auditor())).content
        unknown = ("NOT_FOUND", "ENTRY_UNKNOWN")
        for index, metadata in (
            (0, audit.citizen(OTHER_KEY)),
            (1, audit.citizen()),
            (1, audit.auditor()),
            (5, audit.auditor()),
            (2**64 - 1, audit.citizen()),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await audit.call("OpenEntry", service_pb2.OpenEntryRequest(index=index), metadata)
            assert reason_of(refusal.value) == unknown


async def test_a_program_does_not_read_by_a_citizens_scope(database_url):
    async with an_audit(database_url("audit")) as audit:
        await record(audit.database, an_access(person_ids=["p1"]))
        program = audit.running.token(scopes="person.self", organization="10661")
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await audit.list(program, person_id="p1")
        assert reason_of(refusal.value) == ("PERMISSION_DENIED", "SCOPE_MISSING")
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await audit.call("OpenEntry", service_pb2.OpenEntryRequest(index=0), program)
        assert reason_of(refusal.value) == ("PERMISSION_DENIED", "SCOPE_MISSING")


async def test_reading_the_log_is_itself_an_access(database_url):
    async with an_audit(database_url("audit")) as audit:
        await record(audit.database, an_access(person_ids=["p1"]))
        await audit.list(audit.auditor(), person_id="p1")
        rows = await audit.database.pool.fetch("SELECT event FROM changes WHERE feed = 'access'")
        (event,) = (events_pb2.AccessEvent.FromString(row["event"]) for row in rows)
        assert (event.service, event.method, list(event.person_ids)) == ("audit", "ListAccesses", ["p1"])
        assert event.action == options_pb2.Audit.ACTION_READ
        assert list(event.resources) == ["AccessEntry/0"]
