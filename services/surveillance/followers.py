"""Follows records and the patient index: findings in, cases, counts and alerts out.

Both feeds end in `_settle`, which loads every finding of the persons concerned and judges them anew, so that what comes
out depends on what was told and not on the order in which it came. Everything commits with the feed's cursor.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from nhip.feed.v1.service_pb2 import Change
from prometheus_client import Counter

from libs.clock import Clock
from libs.database.transactions import Writer
from services.surveillance import wire
from services.surveillance.diseases import Catalogue
from services.surveillance.model import Alert, Case, Cell, Finding, Placement, Standing
from services.surveillance.rules import cases as case_rules
from services.surveillance.rules import detection
from services.surveillance.rules.weeks import WEEK
from services.surveillance.store import alerts, facts

FEED = "surveillance"
CASES = Counter("nhip_cases_total", "Cases told anew or changed, by disease and standing.", ["disease", "status"])
ALERTS = Counter("nhip_outbreak_alerts_total", "Alerts raised or lowered by the detectors.", ["disease"])


class Followers:
    """What surveillance does with each feed."""

    def __init__(self, catalogue: Catalogue, clock: Clock) -> None:
        self._catalogue = catalogue
        self._clock = clock

    async def apply_records(self, writer: Writer, changes: Sequence[Change]) -> None:
        """Diagnoses that name a reportable disease become findings; those that no longer do are discarded."""
        told = [
            diagnosis
            for change in changes
            if (diagnosis := wire.diagnosis_of(change, self._clock())) is not None and diagnosis.registration_id
        ]
        findings = case_rules.newest_findings(told, self._catalogue)
        replaced = {one.diagnosis_id: one.version for one in told if wire.may_replace(one)}
        if not findings and not replaced:
            return
        await writer.lock(facts.CASES)
        touched: list[str] = []
        if findings:
            touched += await facts.find(writer, findings)
        if replaced:
            touched += await facts.withdraw(writer, replaced)
        if touched:
            await self._settle(writer, touched, ())

    async def apply_placements(self, writer: Writer, changes: Sequence[Change]) -> None:
        """Registrations get their person and home; the cases of both the old and the new person are judged anew."""
        newest: dict[str, tuple[Placement, int]] = {}
        for change in changes:
            told = wire.placement_of(change)
            if told is not None:
                newest[told[0].registration_id] = told
        if not newest:
            return
        await writer.lock(facts.CASES)
        placements = [placement for placement, _ in newest.values()]
        moved, left = await facts.place(writer, placements, [version for _, version in newest.values()])
        if moved:
            await self._settle(writer, moved, left)

    async def reset_records(self, writer: Writer) -> None:
        """Discards every finding; the snapshot that follows tells those that are."""
        await writer.lock(facts.CASES)
        for case in await facts.forget_findings(writer):
            if case.version and case_rules.is_counted(case.standing):
                discarded = replace(case.standing, status=case_rules.status_of("refuted"))
                _announce_case(writer, replace(case, standing=discarded, version=case.version + 1))

    async def reset_placements(self, writer: Writer) -> None:
        """Forgets whom registrations stand for; the snapshot that follows tells it anew."""
        await writer.lock(facts.CASES)
        await facts.forget_placements(writer)

    async def _settle(self, writer: Writer, registration_ids: Iterable[str], left_person_ids: Iterable[str]) -> None:
        held, placements = await facts.load(writer, registration_ids, left_person_ids)
        standings = self._judge(held, placements)
        changed = [
            (case, replace(case, standing=standings[case.finding.case_id], version=case.version + 1))
            for case in held
            if case.version == 0 or standings[case.finding.case_id] != case.standing
        ]
        if not changed:
            return
        earliest = await alerts.earliest_week(writer)
        await facts.stand(writer, [after for _, after in changed])
        cells: set[Cell] = set()
        for before, after in changed:
            if _told(before) != _told(after):
                _announce_case(writer, after)
            if _counted(before) != _counted(after):
                cells.update(_counted(before) | _counted(after))
        if cells:
            await self._watch(writer, cells, earliest)

    def _judge(self, held: Sequence[Case], placements: Mapping[str, Placement]) -> dict[str, Standing]:
        groups: dict[tuple[str, str], list[Finding]] = defaultdict(list)
        for case in held:
            finding = case.finding
            person = case_rules.person_of(finding.registration_id, placements.get(finding.registration_id))
            groups[person, finding.disease_code].append(finding)
        standings: dict[str, Standing] = {}
        for (_, disease_code), findings in groups.items():
            episode_days = self._catalogue.diseases[disease_code].episode_days
            standings.update(case_rules.stand(findings, placements, episode_days))
        return standings

    async def _watch(self, writer: Writer, changed: Iterable[Cell], earliest_before: date | None) -> None:
        """Raises and lowers the alerts that the changed counts bear upon."""
        earliest = await alerts.earliest_week(writer)
        cells = detection.cells_bearing(changed)
        if earliest != earliest_before:
            cells |= await _cells_newly_known(writer, earliest_before, earliest)
        spans = _spans(cells)
        if not spans:
            return
        counts = await alerts.counts(writer, spans)
        standing = await alerts.standing(writer, spans)
        raised: dict[str, Alert] = {}
        lowered = []
        for cell in sorted(cell for cell in cells if cell.place_code):
            alert = self._alert(cell, counts, earliest)
            held = standing.get(cell)
            if alert is None and held is not None:
                lowered.append(held.alert_id)
            elif alert is not None and (held is None or alert != replace(held, recorded_at=alert.recorded_at)):
                raised[alert.alert_id] = alert
        if lowered:
            await alerts.lower_alerts(writer, lowered)
        if raised:
            for alert in await alerts.raise_alerts(writer, raised):
                writer.announce(FEED, alert.alert_id, wire.alert_event(alert), is_new=True)
                ALERTS.labels(alert.cell.disease_code).inc()

    def _alert(self, cell: Cell, counts: Mapping[Cell, int], earliest: date | None) -> Alert | None:
        cases = counts.get(cell, 0)
        if cases < self._catalogue.diseases[cell.disease_code].alert_from:
            return None
        judgement = detection.judge_cell(cell, counts, earliest)
        if judgement is None or not judgement.is_alarm:
            return None
        return Alert(
            alert_id=detection.alert_id(cell),
            cell=cell,
            cases=cases,
            expected=judgement.expected,
            score=judgement.score or 0.0,
            detector=detection.DETECTOR.name,
            recorded_at=self._clock(),
        )


def _told(case: Case) -> tuple[object, ...]:
    """What followers know of a case; nothing of one that never counted."""
    standing = case.standing
    if case.version == 0 or not case_rules.is_counted(standing):
        return ()
    return standing.status, standing.place_code, standing.week_on


def _counted(case: Case) -> set[Cell]:
    standing = case.standing
    if case.version == 0 or not case_rules.is_counted(standing):
        return set()
    cells = set(detection.cells_of(case.finding.disease_code, standing.place_code, standing.week_on))
    # The country is no level for alerts, but its first week opens or closes baselines everywhere.
    return cells or {Cell(case.finding.disease_code, "", standing.week_on)}


def _announce_case(writer: Writer, case: Case) -> None:
    # Whoever writes a case holds the key of all cases, which keeps the order of each.
    writer.announce(FEED, case.finding.case_id, wire.case_event(case), is_new=True)
    CASES.labels(case.finding.disease_code, case.standing.status.name.lower()).inc()


async def _cells_newly_known(writer: Writer, before: date | None, after: date | None) -> set[Cell]:
    """The cells whose baseline has become, or ceased to be, known because the first known week moved."""
    known = sorted(week for week in (before, after) if week is not None)
    needed = detection.DETECTOR.weeks_needed * WEEK
    first, end = known[0] + needed, known[-1] + needed if len(known) > 1 else date.max
    return {cell for found in await alerts.cells_between(writer, first, end) for cell in detection.cells_of(*found)}


def _spans(cells: Iterable[Cell]) -> list[alerts.Span]:
    weeks: dict[tuple[str, str], list[date]] = defaultdict(list)
    for cell in cells:
        if cell.place_code:
            weeks[cell.disease_code, cell.place_code].append(cell.week_on)
    needed = detection.DETECTOR.weeks_needed * WEEK
    return [alerts.Span(*place, min(found) - needed, max(found)) for place, found in weeks.items()]
