"""The RPCs of audit."""

from datetime import UTC, datetime

from nhip.audit.v1 import resources_pb2, service_pb2

from libs.database.engine import Database
from libs.database.transactions import Reader
from libs.pages import PageTokens
from libs.runtime.call import Call
from services.audit import store, wire
from services.audit.checkpoints import Checkpoints
from services.audit.model import Entry, citizen_subject, person_subject, registration_subject
from services.audit.proofs import span_hashes
from services.audit.rules import merkle, views

DEFAULT_PAGE = 50
_EVER = datetime(1, 1, 1, tzinfo=UTC)


class AuditApi:
    """nhip.audit.v1.AuditService."""

    def __init__(self, database: Database, pages: PageTokens, checkpoints: Checkpoints) -> None:
        self._database = database
        self._pages = pages
        self._checkpoints = checkpoints

    async def ListAccesses(
        self, request: service_pb2.ListAccessesRequest, call: Call
    ) -> service_pb2.ListAccessesResponse:
        """Accesses to a person's data, newest first, of the registrations that are the person's today."""
        question = views.question(call.caller, request.person_id)
        since = wire.since_from(request.since) if request.HasField("since") else _EVER
        query = ("accesses", question.citizen_key, question.person_id, since)
        before = self._pages.read(request.page_token, *query) or store.NO_LIMIT
        page_size = request.page_size or DEFAULT_PAGE
        async with self._database.reading() as reader:
            subjects = await _subjects(reader, question)
            found = await store.list_entries(reader, subjects, before, since, page_size + 1)
        page = found[:page_size]
        for entry in page:
            call.touch(resource=f"AccessEntry/{entry.leaf_index}")
        own = subjects if call.caller.is_citizen else None
        has_more = len(found) > page_size
        return service_pb2.ListAccessesResponse(
            entries=[_shown(entry, own) for entry in page],
            next_page_token=self._pages.write(page[-1].leaf_index, *query) if has_more else "",
        )

    async def OpenEntry(self, request: service_pb2.OpenEntryRequest, call: Call) -> service_pb2.OpenEntryResponse:
        """An entry with salt and content: `leaf_hash` is SHA-256 over salt and content.

        Fails with NOT_FOUND, reason ENTRY_UNKNOWN, also where ListAccesses would not show it to the caller.
        """
        views.require_reader(call.caller)
        if request.index > store.NO_LIMIT:
            raise views.entry_unknown()
        call.touch(resource=f"AccessEntry/{request.index}")
        own: frozenset[str] | None = None
        async with self._database.reading() as reader:
            if call.caller.is_citizen:
                own = await _subjects(reader, views.Question(citizen_key=call.caller.citizen_key))
            opened = await store.open_entry(reader, request.index, own)
        if opened is None:
            raise views.entry_unknown()
        event = wire.event_of(opened.entry)
        if not wire.subjects_of(event):
            # It is about nobody, so that no list shows it.
            raise views.entry_unknown()
        shown = _shown(opened.entry, own)
        for person_id in shown.person_ids:
            call.touch(person=person_id)
        for registration_id in shown.registration_ids:
            call.touch(registration=registration_id)
        if own is None:
            call.touch(citizen_key=event.citizen_key)
        return service_pb2.OpenEntryResponse(entry=shown, salt=opened.salt, content=opened.entry.content)

    async def GetCheckpoint(
        self, request: service_pb2.GetCheckpointRequest, call: Call
    ) -> service_pb2.GetCheckpointResponse:
        """The newest signed checkpoint; `key_id` is the public key as signed-note writes it."""
        del request, call
        async with self._database.reading() as reader:
            checkpoint = await store.newest_checkpoint(reader)
        if checkpoint is None:
            # The process has only just started: the first is made here rather than waited for.
            checkpoint = await self._checkpoints.sign_growth()
        return service_pb2.GetCheckpointResponse(checkpoint=wire.checkpoint(checkpoint))

    async def GetInclusionProof(
        self, request: service_pb2.GetInclusionProofRequest, call: Call
    ) -> service_pb2.GetInclusionProofResponse:
        """The path from a leaf to a root. `leaf_hash` is the commitment; the tree's leaf is SHA-256(0x00 ‖ leaf_hash)."""
        del call
        if request.index > store.NO_LIMIT:
            raise views.entry_unknown()
        async with self._database.reading() as reader:
            heads = await store.heads(reader, request.index)
            if heads.commitment is None:
                raise views.entry_unknown()
            tree_size = views.require_size(
                request.tree_size or heads.signed_size, heads.size, least=request.index + 1, field="tree_size"
            )
            path = await span_hashes(reader, merkle.inclusion_spans(request.index, tree_size))
        return service_pb2.GetInclusionProofResponse(
            index=request.index, tree_size=tree_size, leaf_hash=heads.commitment, path=path
        )

    async def GetConsistencyProof(
        self, request: service_pb2.GetConsistencyProofRequest, call: Call
    ) -> service_pb2.GetConsistencyProofResponse:
        """That one tree is the beginning of another.

        Fails with INVALID_ARGUMENT, reason TREE_SIZE_INVALID, for a tree that the log has not had, or a second smaller
        than the first.
        """
        del call
        async with self._database.reading() as reader:
            heads = await store.heads(reader)
            second = views.require_size(
                request.second_size or heads.signed_size, heads.size, least=1, field="second_size"
            )
            first = views.require_size(request.first_size, second, least=1, field="first_size")
            path = await span_hashes(reader, merkle.consistency_spans(first, second))
        return service_pb2.GetConsistencyProofResponse(first_size=first, second_size=second, path=path)


def _shown(entry: Entry, own: frozenset[str] | None) -> resources_pb2.AccessEntry:
    event = wire.event_of(entry)
    shown = views.shown(tuple(event.person_ids), tuple(event.registration_ids), own)
    return wire.entry(entry, event, shown)


async def _subjects(reader: Reader, question: views.Question) -> frozenset[str]:
    """Everything by which entries name the person: the person, their registrations, their keys."""
    if question.citizen_key:
        placed = await store.placed_of_citizen(reader, question.citizen_key)
        keys = {question.citizen_key}
        persons = {one.person_id for one in placed}
    else:
        placed = await store.placed_of_person(reader, question.person_id)
        keys = {one.citizen_key for one in placed if one.citizen_key}
        persons = {question.person_id}
    return frozenset(
        {
            *map(person_subject, persons),
            *(registration_subject(one.registration_id) for one in placed),
            *map(citizen_subject, keys),
        }
    )
