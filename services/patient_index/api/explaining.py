"""Why registrations are thought to be one person: in words and as a picture."""

from nhip.patient_index.v1 import resources_pb2, viewing_pb2

from libs.runtime.call import Call
from services.patient_index.api.admitting import asked_features
from services.patient_index.api.ground import Rooted, only_key, registration_unknown, touch
from services.patient_index.model import Held, Scope
from services.patient_index.rules.drawing import CONTENT_TYPE, draw
from services.patient_index.rules.explaining import Explanation, Language, explain
from services.patient_index.rules.placing import weigh
from services.patient_index.rules.world import World
from services.patient_index.store import reading


class Explaining(Rooted):
    """RPCs that explain."""

    async def ExplainMatch(
        self, request: viewing_pb2.ExplainMatchRequest, call: Call
    ) -> viewing_pb2.ExplainMatchResponse:
        """A pair in words."""
        explanation = await self._explained(
            request.registration_id, request.other_registration_id, _language(request.language), call
        )
        return viewing_pb2.ExplainMatchResponse(explanation=_told(explanation))

    async def DrawMatch(self, request: viewing_pb2.DrawMatchRequest, call: Call) -> viewing_pb2.DrawMatchResponse:
        """A pair as a picture."""
        explanation = await self._explained(
            request.registration_id, request.other_registration_id, _language(request.language), call
        )
        return viewing_pb2.DrawMatchResponse(content_type=CONTENT_TYPE, body=draw(explanation).encode())

    async def ExplainForm(self, request: viewing_pb2.ExplainFormRequest, call: Call) -> viewing_pb2.ExplainFormResponse:
        """A registration and a form in words."""
        features = asked_features(request.form, self.means.clock(), "form.")
        held = await self._seen(request.registration_id, call)

        def decide(world: World) -> viewing_pb2.ExplainFormResponse:
            found = weigh(world, features, held.registration_id)
            return viewing_pb2.ExplainFormResponse(explanation=_told(explain(found, _language(request.language))))

        return await self.means.index.look(Scope(registration_ids=frozenset({held.registration_id})), decide)

    async def _explained(self, one: str, other: str, language: Language, call: Call) -> Explanation:
        """Both are looked up as the caller sees them: to a citizen nobody else's registration exists."""
        held = [await self._seen(registration_id, call) for registration_id in (one, other)]
        ids = frozenset(held.registration_id for held in held)

        def decide(world: World) -> Explanation:
            first = world.held[one]
            return explain(weigh(world, first.features, other, one), language)

        return await self.means.index.look(Scope(registration_ids=ids), decide)

    async def _seen(self, registration_id: str, call: Call) -> Held:
        async with self.means.database.reading() as reader:
            held = await reading.read_registration(reader, registration_id, only_key(call))
        if held is None:
            raise registration_unknown()
        touch(call, [held])
        return held


def _language(number: int) -> Language:
    return "en" if number == viewing_pb2.LANGUAGE_EN else "th"


def _told(explanation: Explanation) -> viewing_pb2.MatchExplanation:
    match = explanation.match
    return viewing_pb2.MatchExplanation(
        grade=resources_pb2.MatchGrade.ValueType(match.grade),
        model=match.model,
        rule=match.rule,
        prior=explanation.prior,
        weight=match.weight,
        probability=match.probability,
        fields=[
            viewing_pb2.ExplainedField(
                field=one.field,
                level=one.level,
                weight=one.weight,
                total=one.total,
                name=one.name,
                finding=one.finding,
            )
            for one in explanation.steps
        ],
        conclusion=explanation.conclusion,
    )
