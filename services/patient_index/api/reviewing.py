"""Pairs that wait for somebody's judgement, and what the judgements of a blind sample tell of the index."""

from nhip.patient_index.v1 import resources_pb2, reviews_pb2, service_pb2

from libs.errors import FailedPreconditionError, NotFoundError
from libs.runtime.call import Call
from libs.thai.dates import bangkok_date
from services.patient_index import wire
from services.patient_index.api.ground import DEFAULT_PAGE, Rooted, touch
from services.patient_index.model import Asked, Drawn, Held, Pair, Scope, Verdict
from services.patient_index.rules import reviewing
from services.patient_index.rules.deciding import Word
from services.patient_index.rules.measuring import Proportion, Quality, agreement, qualities, settled, strata_of
from services.patient_index.rules.placing import find_matches
from services.patient_index.rules.reviewing import REVIEW_RULES, is_disputed
from services.patient_index.rules.world import World, held_keys, pair
from services.patient_index.store import reading, reviews, samples

# Before every review, and after the last of the highest priority there is.
_FIRST_REVIEW = (1e308, reading.FIRST_ID, reading.FIRST_ID)
# Registrations whose candidates are looked at in one go while a sample is drawn.
_DRAWN_AT_ONCE = 20


class Reviewing(Rooted):
    """RPCs of the review queue and of the sample."""

    async def ListReviews(self, request: service_pb2.ListReviewsRequest, call: Call) -> service_pb2.ListReviewsResponse:
        """Pairs to judge, the most urgent first."""
        size = request.page_size or DEFAULT_PAGE
        after = self.means.pages.read(request.page_token, "reviews") or _FIRST_REVIEW
        async with self.means.database.reading(snapshot=True) as reader:
            found = await reviews.list_reviews(reader, after, size + 1)
            shown = found[:size]
            held = await reading.read_registrations(reader, {one for asked in shown for one in asked.pair})
        touch(call, held.values())
        last = shown[-1] if len(found) > size else None
        return service_pb2.ListReviewsResponse(
            reviews=[_review(asked, held) for asked in shown],
            next_page_token=self.means.pages.write((last.priority, *last.pair), "reviews") if last else "",
        )

    async def ClaimReview(self, request: reviews_pb2.ClaimReviewRequest, call: Call) -> reviews_pb2.ClaimReviewResponse:
        """One review for the caller alone, for a while."""
        named = _pair(request) if request.registration_id or request.other_registration_id else None
        moment, caller = self.means.clock(), call.caller.subject
        async with self.means.database.writing(call) as writer:
            asked = await reviews.claim_review(writer, caller, moment, REVIEW_RULES.lease, named)
            if asked is None and named is not None:
                if named not in await reviews.read_asked(writer, [named]):
                    raise _review_unknown()
                raise FailedPreconditionError("REVIEW_TAKEN", "another reviewer works on it, or you judged it already")
            response = reviews_pb2.ClaimReviewResponse()
            if asked is not None:
                held = await reading.read_registrations(writer, asked.pair)
                persons = {held[one].person_id for one in asked.pair}
                together = await reading.read_persons(writer, persons, None)
                touch(call, held.values())
                response.task.registration.CopyFrom(wire.registration_of(held[asked.pair[0]]))
                response.task.candidate.CopyFrom(wire.candidate_of(asked.match, held[asked.pair[1]]))
                response.task.assigned_until.CopyFrom(wire.timestamp_of(asked.assigned_until or moment))
                count = sum(map(len, together.values()))
                response.task.reviewers_needed = REVIEW_RULES.reviewers_needed(asked.match, count)
            return await writer.answer(response)

    async def DecideReview(
        self, request: reviews_pb2.DecideReviewRequest, call: Call
    ) -> reviews_pb2.DecideReviewResponse:
        """A verdict; and what the index does, once enough say the same."""
        members, moment = _pair(request), self.means.clock()
        word = Word(call.caller.subject, moment, request.reason)

        def decide(world: World) -> reviews_pb2.DecideReviewResponse:
            is_settled, decisions = reviewing.decide(world, members, Verdict(request.verdict), word)
            touch(call, [world.held[one] for one in members])
            said = [*world.loaded.asked[members].judgements, world.settled[members].judgement]
            waits = reviews_pb2.REVIEW_OUTCOME_DISPUTED if is_disputed(said) else reviews_pb2.REVIEW_OUTCOME_WAITS
            return reviews_pb2.DecideReviewResponse(
                outcome=reviews_pb2.REVIEW_OUTCOME_CARRIED_OUT if is_settled else waits,
                decisions=map(wire.decision_of, decisions),
                moves=map(wire.move_of, world.moves()),
            )

        return await self.means.index.change(call, Scope(), decide, moment)

    async def ReleaseReview(
        self, request: reviews_pb2.ReleaseReviewRequest, call: Call
    ) -> reviews_pb2.ReleaseReviewResponse:
        """Gives a review back."""
        async with self.means.database.writing(call) as writer:
            await reviews.release_review(writer, call.caller.subject, _pair(request))
            return await writer.answer(reviews_pb2.ReleaseReviewResponse())

    async def DrawSample(self, request: reviews_pb2.DrawSampleRequest, call: Call) -> reviews_pb2.DrawSampleResponse:
        """Draws by lot, looks at what is linked and what is likeliest not, and keeps the pairs."""
        moment = self.means.clock()
        async with self.means.database.reading() as reader:
            registrations = await samples.draw(reader, request.size)
        drawn: list[Drawn] = []
        for start in range(0, len(registrations), _DRAWN_AT_ONCE):
            chunk = frozenset(registrations[start : start + _DRAWN_AT_ONCE])

            def look(world: World, chunk: frozenset[str] = chunk) -> list[Drawn]:
                keys = (key for one in chunk if one in world.held for key in held_keys(world.held[one]))
                world.require(Scope(keys=frozenset(keys)))
                return [one for registration_id in sorted(chunk) for one in _drawn(world, registration_id)]

            drawn += await self.means.index.look(Scope(registration_ids=chunk), look)
        today = bangkok_date(moment)
        async with self.means.database.writing(call) as writer:
            held = await reading.read_registrations(writer, {one.pair[0] for one in drawn})
            whole = [Drawn(one.pair, one.is_linked, strata_of(held[one.pair[0]].features, today)) for one in drawn]
            if whole:
                await samples.keep_drawn(writer, whole, moment)
            linked = sum(one.is_linked for one in whole)
            return await writer.answer(reviews_pb2.DrawSampleResponse(linked=linked, unlinked=len(whole) - linked))

    async def ClaimSample(self, request: reviews_pb2.ClaimSampleRequest, call: Call) -> reviews_pb2.ClaimSampleResponse:
        """A pair as two forms say it, and nothing that the index thinks."""
        del request  # it asks for any
        moment = self.means.clock()
        async with self.means.database.writing(call) as writer:
            claimed = await samples.claim_sample(writer, call.caller.subject, moment, REVIEW_RULES.lease)
            response = reviews_pb2.ClaimSampleResponse()
            if claimed is not None:
                held = await reading.read_registrations(writer, claimed)
                for one in claimed:
                    call.touch(registration=one, resource=f"Patient/{one}")
                response.task.registration.CopyFrom(_blind(held[claimed[0]]))
                response.task.other.CopyFrom(_blind(held[claimed[1]]))
                response.task.assigned_until.CopyFrom(wire.timestamp_of(moment + REVIEW_RULES.lease))
            return await writer.answer(response)

    async def JudgeSample(self, request: reviews_pb2.JudgeSampleRequest, call: Call) -> reviews_pb2.JudgeSampleResponse:
        """A verdict that moves nobody."""
        members, moment, caller = _pair(request), self.means.clock(), call.caller.subject
        async with self.means.database.writing(call) as writer:
            if not await samples.holds_sample(writer, caller, members, moment):
                raise FailedPreconditionError("REVIEW_NOT_YOURS", "a pair is claimed before it is judged")
            verdicts = await samples.judge_sample(writer, caller, members, Verdict(request.verdict), moment)
            await samples.release_sample(writer, members, is_settled=settled(verdicts) is not None)
            return await writer.answer(reviews_pb2.JudgeSampleResponse())

    async def GetQuality(self, request: reviews_pb2.GetQualityRequest, call: Call) -> reviews_pb2.GetQualityResponse:
        """Precision and recall so far."""
        del request, call
        async with self.means.database.reading() as reader:
            judged = await samples.read_judged(reader)
        return reviews_pb2.GetQualityResponse(
            qualities=map(_quality, qualities(judged)), agreement=_proportion(agreement(judged))
        )


def _pair(
    request: reviews_pb2.ClaimReviewRequest
    | reviews_pb2.DecideReviewRequest
    | reviews_pb2.ReleaseReviewRequest
    | reviews_pb2.JudgeSampleRequest,
) -> Pair:
    one, other = request.registration_id, request.other_registration_id
    if not (reading.is_id(one) and reading.is_id(other)):
        raise _review_unknown()
    return pair(one, other)


def _review_unknown() -> NotFoundError:
    return NotFoundError("REVIEW_UNKNOWN", "no such pair waits for review")


def _review(asked: Asked, held: dict[str, Held]) -> service_pb2.Review:
    return service_pb2.Review(
        registration=wire.registration_of(held[asked.pair[0]]),
        candidate=wire.candidate_of(asked.match, held[asked.pair[1]]),
        priority=asked.priority,
        assigned_to=asked.assigned_to,
        assigned_until=wire.timestamp_of(asked.assigned_until) if asked.assigned_until else None,
    )


def _drawn(world: World, registration_id: str) -> list[Drawn]:
    """A pair that is linked, and the likeliest one that is not, where there are such."""
    held = world.held.get(registration_id)
    if held is None:
        return []
    found: list[Drawn] = []
    others = sorted(one.registration_id for one in world.members(held.person_id) if one is not held)
    if others:
        # Any of them: the ids are hashes.
        found.append(Drawn(pair(registration_id, others[0]), is_linked=True, strata={}))
    for one in find_matches(world, held.features, held_keys(held), registration_id):
        if world.held[one.registration_id].person_id != held.person_id:
            found.append(Drawn(pair(registration_id, one.registration_id), is_linked=False, strata={}))
            break
    return found


def _blind(held: Held) -> resources_pb2.Registration:
    message = wire.registration_of(held)
    for name in ("person_id", "version", "recorded_at", "source_updated_at"):
        message.ClearField(name)
    return message


def _quality(quality: Quality) -> reviews_pb2.Quality:
    return reviews_pb2.Quality(
        dimension=quality.dimension,
        stratum=quality.stratum,
        precision=_proportion(quality.precision),
        recall=_proportion(quality.recall),
    )


def _proportion(proportion: Proportion) -> reviews_pb2.Proportion:
    low, high = proportion.interval
    return reviews_pb2.Proportion(
        counted=proportion.counted, total=proportion.total, share=proportion.share, low=low, high=high
    )
