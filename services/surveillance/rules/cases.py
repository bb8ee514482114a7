"""From diagnoses to cases: which disease, how sure, which episode, where and in which week."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from libs.clock import BANGKOK
from libs.ids import derived_id
from libs.thai.dates import age_on
from services.surveillance.diseases import Catalogue
from services.surveillance.model import AGE_UNKNOWN, Case, Diagnosis, Finding, Placement, Role, Standing, Status
from services.surveillance.rules.weeks import week_of

_SUSPECTED = frozenset({"provisional", "differential", "unconfirmed"})
_DISCARDED = frozenset({"refuted", "entered-in-error"})
_UNKNOWN_PART = re.compile(r"(?:00|99)+$")
_DIGITS = re.compile(r"\d{2}|\d{4}|\d{6}")
# A person nobody has named yet: the registration stands for itself until the patient index has placed it.
_UNPLACED = "registration/"


def status_of(verification: str) -> Status:
    """The status that a FHIR verificationStatus gives a case.

    One that is not stated counts as confirmed: the 43 files have no such field, and what a hospital files there as a
    diagnosis is its diagnosis. A code that is not known counts as suspected.
    """
    if verification in _DISCARDED:
        return Status.DISCARDED
    return Status.CONFIRMED if verification in {"", "confirmed"} else Status.SUSPECTED


def known_place(code: str) -> str:
    """The part of a place code that is known: 99 and 00 stand for an unknown part. Empty for what is no place code."""
    return _UNKNOWN_PART.sub("", code) if _DIGITS.fullmatch(code) else ""


def findings_of(diagnosis: Diagnosis, catalogue: Catalogue) -> list[Finding]:
    """The findings of a diagnosis: one for each reportable disease that its codes name, none for most diagnoses.

    Onset is where the source states it to the day, otherwise the day of the diagnosis, otherwise the day it reached us.
    """
    diagnosed_at = diagnosis.diagnosed_at or diagnosis.recorded_at
    onset_on = diagnosis.onset_on or diagnosed_at.astimezone(BANGKOK).date()
    status = Status.DISCARDED if diagnosis.is_deleted else status_of(diagnosis.verification)
    return [
        Finding(
            case_id=derived_id("case", disease_code, diagnosis.diagnosis_id),
            diagnosis_id=diagnosis.diagnosis_id,
            disease_code=disease_code,
            registration_id=diagnosis.registration_id,
            organization_id=diagnosis.organization_id,
            icd10=icd10,
            onset_on=onset_on,
            diagnosed_at=diagnosed_at,
            stated_place=known_place(diagnosis.place_code),
            stated_status=status,
            fact_version=diagnosis.version,
            recorded_at=diagnosis.recorded_at,
        )
        for disease_code, icd10 in catalogue.diseases_of(diagnosis.codes).items()
    ]


def newest_findings(diagnoses: Iterable[Diagnosis], catalogue: Catalogue) -> list[Finding]:
    """The findings of several diagnoses, told in the order of their versions: one for each diagnosis and disease.

    A disease that a later version no longer names leaves a discarded finding, just as if the versions had come apart.
    """
    newest: dict[str, dict[str, Finding]] = {}
    for diagnosis in diagnoses:
        held = newest.setdefault(diagnosis.diagnosis_id, {})
        for case_id, finding in held.items():
            held[case_id] = replace(finding, stated_status=Status.DISCARDED, fact_version=diagnosis.version)
        held.update((finding.case_id, finding) for finding in findings_of(diagnosis, catalogue))
    return [finding for held in newest.values() for finding in held.values()]


def person_of(registration_id: str, placement: Placement | None) -> str:
    """Whose findings belong together; a registration that was not placed yet stands for itself."""
    return placement.person_id if placement is not None else _UNPLACED + registration_id


def named_person(person: str) -> str:
    """The person's id; empty for a registration that stands for itself."""
    return "" if person.startswith(_UNPLACED) else person


def stand(findings: Sequence[Finding], placements: Mapping[str, Placement], episode_days: int) -> dict[str, Standing]:
    """The standing of each finding of one person and disease, by case id. The order of `findings` does not matter.

    Findings that stand are taken by onset; the first opens an episode, and those within `episode_days` of it belong to
    it. The episode is as sure as its surest finding, and lies where its first finding that names a place says.
    """
    standings: dict[str, Standing] = {}
    episode: list[Finding] = []
    for finding in sorted(findings, key=lambda one: (one.onset_on, one.case_id)):
        if finding.stated_status is Status.DISCARDED:
            standings[finding.case_id] = _standing([finding], finding, Role.COUNTED, placements)
            continue
        if episode and finding.onset_on - episode[0].onset_on > timedelta(days=episode_days):
            standings.update(_episode(episode, placements))
            episode = []
        episode.append(finding)
    standings.update(_episode(episode, placements))
    return standings


def _episode(findings: Sequence[Finding], placements: Mapping[str, Placement]) -> dict[str, Standing]:
    standings = {}
    seen: set[str] = set()
    for number, finding in enumerate(findings):
        role = Role.COUNTED if number == 0 else Role.FIRST_OF_ORGANIZATION
        if finding.organization_id in seen:
            role = Role.REPEAT
        seen.add(finding.organization_id)
        standings[finding.case_id] = _standing(findings, finding, role, placements)
    return standings


def _standing(
    episode: Sequence[Finding], finding: Finding, role: Role, placements: Mapping[str, Placement]
) -> Standing:
    placement = placements.get(finding.registration_id)
    others = episode if role is Role.COUNTED else [finding]
    places = (_place(one, placements) for one in [finding, *others])
    return Standing(
        role=role,
        status=max(one.stated_status for one in episode),
        head_case_id=episode[0].case_id,
        person_id=named_person(person_of(finding.registration_id, placement)),
        place_code=next(filter(None, places), ""),
        age_years=_age(placement, finding.onset_on),
        sex=placement.sex if placement else 0,
        nationality=placement.nationality if placement else "",
        week_on=week_of(finding.onset_on),
    )


def _place(finding: Finding, placements: Mapping[str, Placement]) -> str:
    placement = placements.get(finding.registration_id)
    return finding.stated_place or (known_place(placement.place_code) if placement else "")


def _age(placement: Placement | None, day: date) -> int:
    if placement is None or placement.birth_date is None or placement.birth_date > day:
        return AGE_UNKNOWN
    return age_on(placement.birth_date, day)


def is_counted(standing: Standing) -> bool:
    """True for the one finding of an episode that line lists and counts take."""
    return standing.role is Role.COUNTED and standing.status is not Status.DISCARDED


def announced_status(standing: Standing) -> Status:
    """What followers are told: a finding that another stands for does not count."""
    return standing.status if standing.role is Role.COUNTED else Status.DISCARDED


def report_due_at(case: Case, catalogue: Catalogue) -> datetime:
    """When the law wants the case reported: so many hours after it was found."""
    found_at = case.finding.diagnosed_at
    hours = catalogue.report_within_hours(case.finding.disease_code, found_at.astimezone(BANGKOK).date())
    return (found_at + timedelta(hours=hours)).astimezone(UTC)
