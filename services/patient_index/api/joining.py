"""Links of a batch, decided in bulk: one look, one write and one commit for hundreds of pairs."""

from nhip.patient_index.v1 import decisions_pb2, resources_pb2

from libs.errors import NhipError
from libs.runtime.call import Call
from services.patient_index import wire
from services.patient_index.api.deciding import touch_decided
from services.patient_index.api.ground import Rooted
from services.patient_index.model import FieldWeight, Scope
from services.patient_index.rules.deciding import Word
from services.patient_index.rules.joining import Link, join, prepare
from services.patient_index.rules.world import World
from services.patient_index.store.reading import is_id


class Joining(Rooted):
    """The RPC that takes what a batch of linkage joined."""

    async def BatchLink(self, request: decisions_pb2.BatchLinkRequest, call: Call) -> decisions_pb2.BatchLinkResponse:
        """Decides each pair in turn; one that is refused leaves nothing behind, and the others go on."""
        moment = self.means.clock()
        word = Word(call.caller.subject, moment, request.reason)
        links = [_link_of(one, request.model) for one in request.links]
        named = frozenset(one for link in links for one in (link.registration_id, link.other_id) if is_id(one))

        def decide(world: World) -> decisions_pb2.BatchLinkResponse:
            prepare(world, links)
            results = [_joined(world, link, word, call) for link in links]
            return decisions_pb2.BatchLinkResponse(results=results, moves=map(wire.move_of, world.moves()))

        scope = Scope(registration_ids=named, locks=named)
        return await self.means.index.decide(call, scope, decide, moment, is_dry=request.validate_only)


def _joined(world: World, link: Link, word: Word, call: Call) -> decisions_pb2.BatchLinkResult:
    try:
        decisions = join(world, link, word)
    except NhipError as error:
        told = decisions_pb2.BatchLinkResult(
            outcome=decisions_pb2.LINK_OUTCOME_REFUSED, error_reason=error.reason, error_message=error.message
        )
        if "other_registration_id" in error.metadata:
            told.error_pair.CopyFrom(resources_pb2.RegistrationPair(**error.metadata))
        return told
    touch_decided(call, decisions)
    return decisions_pb2.BatchLinkResult(
        outcome=decisions_pb2.LINK_OUTCOME_MERGED if decisions else decisions_pb2.LINK_OUTCOME_TOGETHER,
        person_id=world.held[link.registration_id].person_id,
        decision_id=decisions[0].decision_id if decisions else "",
    )


def _link_of(message: decisions_pb2.PairLink, model: str) -> Link:
    fields = tuple(FieldWeight(one.field, one.level, one.weight) for one in message.fields)
    return Link(message.registration_id, message.other_registration_id, model, message.weight, fields)
