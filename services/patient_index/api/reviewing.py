"""Pairs that wait for somebody's judgement."""

from nhip.patient_index.v1 import service_pb2

from libs.runtime.call import Call
from services.patient_index import wire
from services.patient_index.api.ground import DEFAULT_PAGE, Rooted, touch
from services.patient_index.store import reading

# Before every review, and after the last of the highest weight there is.
_FIRST_REVIEW = (1e308, reading.FIRST_ID, reading.FIRST_ID)


class Reviewing(Rooted):
    """RPCs of the review queue."""

    async def ListReviews(self, request: service_pb2.ListReviewsRequest, call: Call) -> service_pb2.ListReviewsResponse:
        """Pairs to judge, the likeliest first."""
        size = request.page_size or DEFAULT_PAGE
        after = self.means.pages.read(request.page_token, "reviews") or _FIRST_REVIEW
        async with self.means.database.reading(snapshot=True) as reader:
            found = await reading.list_reviews(reader, after, size + 1)
            shown = found[:size]
            pairs = {one for review in shown for one in (review.registration_id, review.match.registration_id)}
            held = await reading.read_registrations(reader, pairs)
        touch(call, held.values())
        last = shown[-1] if len(found) > size else None
        position = (last.match.weight, last.registration_id, last.match.registration_id) if last else None
        return service_pb2.ListReviewsResponse(
            reviews=[
                service_pb2.Review(
                    registration=wire.registration_of(held[review.registration_id]),
                    candidate=wire.candidate_of(review.match, held[review.match.registration_id]),
                )
                for review in shown
            ],
            next_page_token=self.means.pages.write(position, "reviews") if position else "",
        )
