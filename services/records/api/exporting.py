"""Bulk Data exports: what a plan means, and its pages. http://hl7.org/fhir/uv/bulkdata/STU2/export.html."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby

from nhip.records.v1 import exports_pb2

from libs.errors import InvalidArgumentError, UnavailableError
from libs.fhir.body import dump, parse
from libs.fhir.subsets import with_elements
from libs.runtime.call import Call
from services.records.api.ground import UseCases
from services.records.rules import errors
from services.records.rules.exporting import SYSTEM, Plan, understood
from services.records.store import exporting, reindexing
from services.records.visibility import OPEN_TYPES

_SEAL = "export-plan"
# A write takes the time before it begins its transaction: so much later it has begun.
SETTLED_AFTER = timedelta(seconds=2)
# So long an OpenExport waits before it tells its caller to ask again.
PATIENCE_SECONDS = 20.0
_LOOK_SECONDS = 0.1


class ExportRecordsApi(UseCases):
    """nhip.records.v1.ExportRecordsService."""

    async def PlanExport(self, request: exports_pb2.PlanExportRequest, call: Call) -> exports_pb2.PlanExportResponse:
        """The caller is known here for the last time: the plan carries who they are."""
        plan, ignored = understood(request, call.caller)
        now = self.clock()
        async with self.database.reading() as reader:
            if plan.filters:
                await reindexing.require_indexed(reader, sorted(plan.filters), self.indexed)
            if plan.group_id and await exporting.group_body(reader, call.caller, now, now, plan.group_id) is None:
                raise errors.resource_unknown("Group")
            if plan.patient_ids:
                seen = await exporting.seen_patients(reader, call.caller, now, plan.patient_ids)
                if len(seen) < len(plan.patient_ids):
                    raise errors.resource_unknown("Patient", "patient")
        return exports_pb2.PlanExportResponse(plan=self.pages.write(plan.sealed(), _SEAL), ignored_parameters=ignored)

    async def OpenExport(self, request: exports_pb2.OpenExportRequest, call: Call) -> exports_pb2.OpenExportResponse:
        """Waits until the time has settled, then says what there is to walk."""
        plan = self._plan(request.plan, call)
        as_of = request.transaction_time.ToDatetime(UTC)
        await self._settle(as_of)
        async with self.database.reading() as reader:
            if not plan.has_cohort:
                return exports_pb2.OpenExportResponse(types=await exporting.types_in_use(reader, plan.types))
            registrations = await exporting.cohort(reader, plan, self.clock(), as_of)
            beside = [one for one in plan.types if one in OPEN_TYPES] if _is_open_wanted(plan) else []
            types = await exporting.types_in_use(reader, beside)
        for one in registrations:
            call.touch(registration=one)
        return exports_pb2.OpenExportResponse(types=types, registration_ids=registrations)

    async def ReadExport(self, request: exports_pb2.ReadExportRequest, call: Call) -> exports_pb2.ReadExportResponse:
        """One statement."""
        plan = self._plan(request.plan, call)
        if bool(request.type) is bool(request.registration_ids):
            raise InvalidArgumentError("PLACE_INVALID", "a page is of a type or of registrations")
        as_of = request.transaction_time.ToDatetime(UTC)
        walk = request.type or list(request.registration_ids)
        async with self.database.reading() as reader:
            page = await exporting.page(reader, plan, self.clock(), as_of, walk, request.after)
        for one in page.registration_ids:
            call.touch(registration=one)
        for key in page.keys:
            call.touch(resource=key)
        return exports_pb2.ReadExportResponse(
            lines=[_lines(kind, [body for _, body in held], plan) for kind, held in groupby(page.bodies, _type_of)],
            deleted=page.deleted,
            next=page.next,
        )

    def _plan(self, sealed: str, call: Call) -> Plan:
        """The plan; from here on the call is one of who asked for it. Raises InvalidArgumentError, reason PLAN_INVALID."""
        try:
            plan = Plan.opened(self.pages.read(sealed, _SEAL))
        except InvalidArgumentError:
            raise InvalidArgumentError("PLAN_INVALID", "the plan is not one that was made here") from None
        call.caller = replace(plan.caller, actor=call.caller.subject)
        return plan

    async def _settle(self, as_of: datetime) -> None:
        """Returns when all that was recorded up to the time has been committed, or never will be.

        Raises UnavailableError, reason EXPORT_SETTLING.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE_SECONDS
        begun: datetime | None = None
        while loop.time() < until:
            if self.clock() >= as_of + SETTLED_AFTER:
                async with self.database.reading() as reader:
                    begun = begun or await exporting.database_now(reader)
                    if not await exporting.unsettled(reader, begun):
                        return
            await asyncio.sleep(_LOOK_SECONDS)
        raise UnavailableError("EXPORT_SETTLING", "a write that began before this time goes on; ask again")


def _is_open_wanted(plan: Plan) -> bool:
    """What is about nobody comes with an export of all, and where it is named."""
    return plan.are_types_named or plan.level == SYSTEM


def _type_of(held: tuple[str, bytes]) -> str:
    return held[0]


def _lines(kind: str, bodies: Sequence[bytes], plan: Plan) -> exports_pb2.ExportLines:
    elements = plan.elements_of(kind)
    if elements:
        bodies = [dump(with_elements(parse(body), elements)) for body in bodies]
    return exports_pb2.ExportLines(type=kind, count=len(bodies), ndjson=b"\n".join((*bodies, b"")))
