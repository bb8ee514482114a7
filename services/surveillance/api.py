"""The RPCs of surveillance."""

from collections.abc import AsyncIterator
from datetime import date

from google.protobuf.message import Message
from nhip.surveillance.v1 import service_pb2

from libs.access.caller import PUBLIC_HEALTH, Caller
from libs.clock import BANGKOK, Clock
from libs.database.engine import Database
from libs.database.transactions import Reader
from libs.errors import FieldViolation, InvalidArgumentError, NotFoundError
from libs.pages import PageTokens
from libs.runtime.call import Call
from services.surveillance import wire
from services.surveillance.diseases import Catalogue
from services.surveillance.rules import detection, weeks
from services.surveillance.store import lists

_CASES_PER_PAGE = 100
_ALERTS_PER_PAGE = 100
_SERIES_WEEKS = 52
# Twenty years; a wider question is a study and goes by export.
_MOST_WEEKS = 1044


class SurveillanceApi:
    """SurveillanceService over one database."""

    def __init__(self, database: Database, catalogue: Catalogue, clock: Clock, pages: PageTokens) -> None:
        self._database = database
        self._catalogue = catalogue
        self._clock = clock
        self._pages = pages

    async def ListCases(self, request: service_pb2.ListCasesRequest, call: Call) -> service_pb2.ListCasesResponse:
        """The line list: all of it for public health, a facility's own cases for everybody else."""
        query = lists.CaseQuery(
            organization_id=_confined_to(call.caller),
            disease_code=self._known(request.disease_code),
            place_code=request.place_code,
            from_date=_day("from_date", request.from_date),
            to_date=_day("to_date", request.to_date),
            registration_id=request.registration_id,
            include_discarded=request.include_discarded,
        )
        position = self._pages.read(request.page_token, "cases", query)
        after = (date.fromisoformat(position[0]), str(position[1])) if position else None
        size = request.page_size or _CASES_PER_PAGE
        async with self._database.reading() as reader:
            page = await lists.list_cases(reader, query, after, size + 1)
        response = service_pb2.ListCasesResponse(total=page.total)
        for case in page.cases[:size]:
            finding = case.finding
            call.touch(registration=finding.registration_id, resource=f"Case/{finding.case_id}")
            response.cases.append(wire.case_to_wire(case, self._catalogue))
        if len(page.cases) > size:
            last = page.cases[size - 1].finding
            position = [last.onset_on.isoformat(), last.case_id]
            response.next_page_token = self._pages.write(position, "cases", query)
        return response

    async def CountCases(self, request: service_pb2.CountCasesRequest, call: Call) -> service_pb2.CountCasesResponse:
        """Counts all about the registrations, names those that the caller's line list would."""
        for one in request.registration_ids:
            call.touch(registration=one)
        async with self._database.reading(snapshot=True) as reader:
            organization_id = _confined_to(call.caller)
            count, found = await lists.filed(reader, organization_id, request.registration_ids, request.limit)
        items = [service_pb2.FiledCase(id=one, registration_id=about) for one, about in found]
        return service_pb2.CountCasesResponse(count=count, items=items)

    async def GetWeeklySeries(
        self, request: service_pb2.GetWeeklySeriesRequest, call: Call
    ) -> service_pb2.GetWeeklySeriesResponse:
        """Counts by week; the weeks before the first one asked are read too, since they are its baseline."""
        del call
        disease_code = self._known(request.disease_code)
        this_week = weeks.week_of_moment(self._clock())
        last = _week("to_week", request.to_week) or this_week
        first = _week("from_week", request.from_week) or last - (_SERIES_WEEKS - 1) * weeks.WEEK
        if first > last or last - first >= _MOST_WEEKS * weeks.WEEK:
            raise _invalid("to_week", "WEEK_RANGE", f"at least the first week, at most {_MOST_WEEKS} weeks in all")
        needed = detection.DETECTOR.weeks_needed
        async with self._database.reading() as reader:
            counts, earliest = await lists.series(
                reader, disease_code, request.place_code, first - needed * weeks.WEEK, last
            )
        judged = detection.judge_series(counts, earliest)[needed:]
        return service_pb2.GetWeeklySeriesResponse(
            disease_code=disease_code, place_code=request.place_code, weeks=map(wire.week_to_wire, judged)
        )

    async def ListAlerts(self, request: service_pb2.ListAlertsRequest, call: Call) -> service_pb2.ListAlertsResponse:
        """Alerts that stand, newest week first."""
        del call
        query = (self._known(request.disease_code), request.place_code)
        position = self._pages.read(request.page_token, "alerts", query)
        after = (date.fromisoformat(position[0]), str(position[1])) if position else None
        size = request.page_size or _ALERTS_PER_PAGE
        async with self._database.reading() as reader:
            found = await lists.list_alerts(reader, *query, after, size + 1)
        response = service_pb2.ListAlertsResponse(alerts=map(wire.alert_to_wire, found[:size]))
        if len(found) > size:
            last = found[size - 1]
            position = [last.cell.week_on.isoformat(), last.alert_id]
            response.next_page_token = self._pages.write(position, "alerts", query)
        return response

    async def ListDiseases(
        self, request: service_pb2.ListDiseasesRequest, call: Call
    ) -> service_pb2.ListDiseasesResponse:
        """The reportable diseases with the deadlines that hold today."""
        del request, call
        today = self._clock().astimezone(BANGKOK).date()
        return service_pb2.ListDiseasesResponse(
            diseases=[
                wire.disease_to_wire(disease, self._catalogue.report_within_hours(disease.code, today))
                for disease in self._catalogue.diseases.values()
            ]
        )

    def _known(self, disease_code: str) -> str:
        if disease_code and disease_code not in self._catalogue.diseases:
            raise NotFoundError("DISEASE_UNKNOWN", "no reportable disease has this code")
        return disease_code


def _confined_to(caller: Caller) -> str | None:
    """The organisation whose cases the caller sees; None for public health, which sees all."""
    is_public_health = caller.purpose == PUBLIC_HEALTH and not caller.is_citizen
    return None if is_public_health else caller.organization_id or "-"


async def snapshot(reader: Reader) -> AsyncIterator[tuple[str, Message]]:
    """The present state as feed `surveillance` would tell it."""
    async for case in lists.all_cases(reader):
        yield case.finding.case_id, wire.case_event(case)
    async for alert in lists.all_alerts(reader):
        yield alert.alert_id, wire.alert_event(alert)


def _invalid(field: str, reason: str, description: str) -> InvalidArgumentError:
    return InvalidArgumentError(reason, f"{field}: {description}", fields=[FieldViolation(field, reason, description)])


def _day(field: str, text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _invalid(field, "DATE_IMPOSSIBLE", "no such day") from None


def _week(field: str, text: str) -> date | None:
    if not text:
        return None
    try:
        return weeks.parse_week(text)
    except ValueError:
        raise _invalid(field, "WEEK_IMPOSSIBLE", "no such week") from None
