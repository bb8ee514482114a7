"""Claims: storing them, what their decision rests on, and who may read them."""

import functools
import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from sqlalchemy import ColumnElement, Text, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY, insert

from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from services.claims.model import Claim, Situation, Status, VisitState
from services.claims.store.rows import changes_to_json, claim_of, lines_to_json
from services.claims.store.tariffs import item_of
from services.claims.tables import claims, placements

# Whoever changes claims of an organisation holds its stripe, so that two claims of one visit or day are never decided at
# the same time, and the changes of each claim are announced in their order. Stripes, so that a rebuild can hold them all.
STRIPES = 64
_SNAPSHOT_ROWS = 500
_SWEEP_ROWS = 500
# Stands between codes; no code holds it, since it is not printable.
_BETWEEN = "\x1f"

_FIND_INVOICE = Statement(
    "claims.find_invoice",
    select(claims).where(
        claims.c.organization_id == bindparam("organization_id"), claims.c.invoice_number == bindparam("invoice_number")
    ),
)

_INSERT = Statement("claims.insert", insert(claims))

_SITUATIONS = Statement(
    "claims.situations",
    text(
        """
        SELECT asked.claim_id, visits.state AS visit, placements.person_id,
            (
                SELECT coverage_id FROM coverages
                WHERE coverages.registration_id = ANY(person.registration_ids) AND coverages.scheme = asked.scheme
                  AND coverages.starts_on <= asked.service_date
                  AND (coverages.ends_on IS NULL OR coverages.ends_on >= asked.service_date)
                ORDER BY coverages.starts_on DESC, coverages.coverage_id LIMIT 1
            ) AS coverage_id,
            ARRAY(
                SELECT tariff_items FROM tariff_items
                WHERE tariff_items.scheme = asked.scheme
                  AND tariff_items.code = ANY(string_to_array(asked.codes, :between))
                  AND tariff_items.starts_on <= asked.service_date
                  AND (tariff_items.ends_on IS NULL OR tariff_items.ends_on >= asked.service_date)
            ) AS tariff,
            ARRAY(
                SELECT DISTINCT line ->> 'code'
                FROM claims AS other CROSS JOIN LATERAL jsonb_array_elements(other.lines) AS line
                WHERE other.registration_id = ANY(person.registration_ids)
                  AND other.organization_id = asked.organization_id AND other.service_date = asked.service_date
                  AND other.status IN (2, 4, 5) AND CAST(line ->> 'outcome' AS integer) IN (1, 2)
            ) AS taken_codes,
            EXISTS (
                SELECT 1 FROM claims AS other
                WHERE other.encounter_id = asked.encounter_id AND other.organization_id = asked.organization_id
                  AND other.status IN (2, 4, 5)
            ) AS is_visit_claimed
        FROM unnest(
            CAST(:claim_ids AS text[]), CAST(:organization_ids AS text[]), CAST(:registration_ids AS text[]),
            CAST(:encounter_ids AS text[]), CAST(:schemes AS text[]), CAST(:service_dates AS date[]),
            CAST(:codes AS text[])
        ) AS asked (claim_id, organization_id, registration_id, encounter_id, scheme, service_date, codes)
        LEFT JOIN visits ON visits.encounter_id = asked.encounter_id
            AND visits.registration_id = asked.registration_id AND visits.organization_id = asked.organization_id
        LEFT JOIN placements ON placements.registration_id = asked.registration_id
        CROSS JOIN LATERAL (
            SELECT array_agg(linked.registration_id) AS registration_ids
            FROM placements AS linked WHERE linked.person_id = placements.person_id
        ) AS person
        """
    ),
)

# Claims that wait and can be decided now, and claims whose visit turned out not to have taken place.
_DUE = """
    SELECT claims.* FROM claims
    JOIN visits ON visits.encounter_id = claims.encounter_id AND visits.registration_id = claims.registration_id
        AND visits.organization_id = claims.organization_id
    LEFT JOIN placements ON placements.registration_id = claims.registration_id
    WHERE (
            (claims.status = 1 AND visits.state = 2 AND placements.registration_id IS NOT NULL)
            OR (claims.status IN (1, 2, 3, 4) AND visits.state = 3)
        )
"""
_DUE_BY_VISIT = Statement(
    "claims.due_by_visit", text(_DUE + "AND claims.encounter_id = ANY(CAST(:encounter_ids AS text[]))")
)
_DUE_BY_REGISTRATION = Statement(
    "claims.due_by_registration",
    text(
        _DUE
        + """
        AND claims.status = 1 AND claims.registration_id = ANY(CAST(:registration_ids AS text[]))
        AND claims.organization_id = ANY(CAST(:organization_ids AS text[]))
        """
    ),
)
_DUE_ANYHOW = Statement(
    "claims.due_anyhow", text(_DUE + f"AND claims.status = 1 ORDER BY claims.claim_id LIMIT {_SWEEP_ROWS}")
)

_STORE_DECISIONS = Statement(
    "claims.store_decisions",
    text(
        """
        UPDATE claims SET
            lines = decided.lines, status = decided.status, status_changes = decided.status_changes,
            approved = decided.approved, coverage_id = decided.coverage_id, person_id = decided.person_id,
            version = decided.version
        FROM jsonb_to_recordset(CAST(:decided AS jsonb)) AS decided (
            claim_id text, lines jsonb, status smallint, status_changes jsonb, approved bigint, coverage_id text,
            person_id text, version bigint
        )
        WHERE claims.claim_id = decided.claim_id
        """
    ),
)

_PAYERS_ORGANIZATIONS = Statement(
    "claims.organizations_to_pay",
    text(
        """
        SELECT organization_id, count(*) FILTER (WHERE status = 2) AS approved, count(*) AS found FROM claims
        WHERE scheme = :scheme AND claim_id = ANY(CAST(:claim_ids AS text[]))
        GROUP BY organization_id
        UNION ALL
        SELECT DISTINCT organization_id, 1, 1 FROM claims
        WHERE scheme = :scheme AND status = 2 AND CAST(:claim_ids AS text[]) IS NULL
        """
    ),
)
_TO_PAY = Statement(
    "claims.to_pay",
    text(
        """
        SELECT * FROM claims
        WHERE scheme = :scheme AND status = 2 AND organization_id = ANY(CAST(:organization_ids AS text[]))
          AND (CAST(:claim_ids AS text[]) IS NULL OR claim_id = ANY(CAST(:claim_ids AS text[])))
        ORDER BY claim_id
        """
    ),
)

_AFTER = Statement(
    "claims.snapshot",
    select(claims).where(claims.c.claim_id > bindparam("after")).order_by(claims.c.claim_id).limit(_SNAPSHOT_ROWS),
)


class Sight(Enum):
    """Which claims a reader may see."""

    # All of them: the payer.
    ALL = "all"
    # Those of one organisation.
    ORGANIZATION = "organization"
    # Those about one citizen: of every registration of the persons whose registrations carry the citizen's key.
    CITIZEN = "citizen"


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who reads: the sight, and the organisation's id or the citizen's key that it is bound to."""

    sight: Sight
    key: str = ""


def _visible(sight: Sight) -> list[ColumnElement[bool]]:
    if sight is Sight.ALL:
        return []
    if sight is Sight.ORGANIZATION:
        return [claims.c.organization_id == bindparam("key")]
    own, linked = placements.alias("own"), placements.alias("linked")
    registrations = (
        select(linked.c.registration_id)
        .select_from(own.join(linked, own.c.person_id == linked.c.person_id))
        .where(own.c.citizen_key == bindparam("key"), own.c.citizen_key != "")
    )
    return [claims.c.registration_id.in_(registrations)]


@functools.cache
def _get(sight: Sight) -> Statement:
    conditions = [claims.c.claim_id == bindparam("claim_id"), *_visible(sight)]
    return Statement("claims.get", select(claims).where(*conditions))


@functools.cache
def _listing(sight: Sight, *, by_status: bool, is_continued: bool) -> Statement:
    conditions = _visible(sight)
    if by_status:
        conditions.append(claims.c.status == bindparam("status"))
    if is_continued:
        conditions.append(claims.c.claim_id < bindparam("after"))
    page = select(claims).where(*conditions).order_by(claims.c.claim_id.desc()).limit(bindparam("page_size"))
    return Statement("claims.list", page)


_COUNT_FILED = Statement(
    "claims.count_filed",
    select(func.count())
    .select_from(claims)
    .where(claims.c.registration_id == func.any(bindparam("registration_ids", type_=ARRAY(Text)))),
)


@functools.cache
def _filed(sight: Sight) -> Statement:
    of_these = claims.c.registration_id == func.any(bindparam("registration_ids", type_=ARRAY(Text)))
    listed = select(claims.c.claim_id, claims.c.registration_id).where(of_these, *_visible(sight))
    return Statement(
        "claims.list_filed", listed.order_by(claims.c.registration_id, claims.c.claim_id).limit(bindparam("most"))
    )


async def filed(
    reader: Reader, viewer: Viewer, registration_ids: Sequence[str], most: int
) -> tuple[int, list[tuple[str, str]]]:
    """How many claims there are about registrations; (claim, registration) of those that the reader may see."""
    count = await reader.fetch_value(_COUNT_FILED, registration_ids=list(registration_ids))
    rows = await reader.fetch(_filed(viewer.sight), registration_ids=list(registration_ids), most=most, **_key(viewer))
    return int(count), [(row["claim_id"], row["registration_id"]) for row in rows]


def _key(viewer: Viewer) -> dict[str, str]:
    return {} if viewer.sight is Sight.ALL else {"key": viewer.key}


def stripe_of(organization_id: str) -> str:
    """The lock under which an organisation's claims are changed."""
    number = hashlib.blake2b(organization_id.encode(), digest_size=1).digest()[0] % STRIPES
    return f"claims/{number:02d}"


async def hold(writer: Writer, organization_ids: Iterable[str]) -> None:
    """Holds the claims of these organisations until the transaction ends."""
    await writer.lock(*sorted({stripe_of(one) for one in organization_ids}))


async def hold_all(writer: Writer) -> None:
    """Holds every claim until the transaction ends."""
    await writer.lock(*(f"claims/{number:02d}" for number in range(STRIPES)))


async def find_invoice(reader: Reader, organization_id: str, invoice_number: str) -> tuple[Claim, bytes] | None:
    """The claim under an invoice number of an organisation, with the hash of what was submitted."""
    row = await reader.fetch_one(_FIND_INVOICE, organization_id=organization_id, invoice_number=invoice_number)
    return None if row is None else (claim_of(row), bytes(row["content_hash"]))


async def insert_claim(writer: Writer, claim: Claim, content_hash: bytes) -> None:
    """Stores a new claim."""
    await writer.execute(
        _INSERT,
        claim_id=claim.claim_id,
        organization_id=claim.organization_id,
        invoice_number=claim.invoice_number,
        content_hash=content_hash,
        registration_id=claim.registration_id,
        encounter_id=claim.encounter_id,
        scheme=claim.scheme,
        service_date=claim.service_date,
        authen_code=claim.authen_code,
        diagnoses=list(claim.diagnoses),
        lines=lines_to_json(claim.lines),
        status=claim.status,
        status_changes=changes_to_json(claim.status_changes),
        approved=claim.approved,
        coverage_id=claim.coverage_id,
        person_id=claim.person_id,
        recorded_at=claim.recorded_at,
        version=claim.version,
    )


async def situations(reader: Reader, asked: Sequence[Claim]) -> dict[str, Situation]:
    """What the decision of each claim rests on, by claim id."""
    rows = await reader.fetch(
        _SITUATIONS,
        claim_ids=[one.claim_id for one in asked],
        organization_ids=[one.organization_id for one in asked],
        registration_ids=[one.registration_id for one in asked],
        encounter_ids=[one.encounter_id for one in asked],
        schemes=[one.scheme for one in asked],
        service_dates=[one.service_date for one in asked],
        codes=[_BETWEEN.join(one.codes) for one in asked],
        between=_BETWEEN,
    )
    return {
        row["claim_id"]: Situation(
            visit=None if row["visit"] is None else VisitState(row["visit"]),
            person_id=row["person_id"] or "",
            coverage_id=row["coverage_id"] or "",
            tariff={item["code"]: item_of(item) for item in row["tariff"]},
            taken_codes=frozenset(row["taken_codes"]),
            is_visit_claimed=row["is_visit_claimed"],
        )
        for row in rows
    }


async def due_by_visit(reader: Reader, encounter_ids: Sequence[str]) -> list[Claim]:
    """Claims of these visits that are to be decided or cancelled now."""
    return [claim_of(row) for row in await reader.fetch(_DUE_BY_VISIT, encounter_ids=list(encounter_ids))]


async def due_by_registration(
    reader: Reader, registration_ids: Sequence[str], organization_ids: Iterable[str]
) -> list[Claim]:
    """Claims of these registrations that waited for the person and can be decided now."""
    rows = await reader.fetch(
        _DUE_BY_REGISTRATION, registration_ids=list(registration_ids), organization_ids=sorted(organization_ids)
    )
    return [claim_of(row) for row in rows]


async def due_anyhow(reader: Reader) -> list[Claim]:
    """Claims that wait although they could be decided; some of them, where there are many."""
    return [claim_of(row) for row in await reader.fetch(_DUE_ANYHOW)]


async def store_decisions(writer: Writer, decided: Sequence[Claim]) -> None:
    """Stores claims as decided, paid or cancelled."""
    # One JSON value: a driver's array of lists would be taken for an array of two dimensions.
    rows = [
        {
            "claim_id": one.claim_id,
            "lines": lines_to_json(one.lines),
            "status": int(one.status),
            "status_changes": changes_to_json(one.status_changes),
            "approved": one.approved,
            "coverage_id": one.coverage_id,
            "person_id": one.person_id,
            "version": one.version,
        }
        for one in decided
    ]
    await writer.execute(_STORE_DECISIONS, decided=rows)


async def organizations_to_pay(reader: Reader, scheme: str, claim_ids: Sequence[str] | None) -> tuple[list[str], int]:
    """The organisations of a scheme's approved claims, or of the claims named; and how many of those named exist."""
    ids = None if claim_ids is None else list(claim_ids)
    rows = await reader.fetch(_PAYERS_ORGANIZATIONS, scheme=scheme, claim_ids=ids)
    return sorted({row["organization_id"] for row in rows if row["approved"]}), sum(row["found"] for row in rows)


async def to_pay(
    reader: Reader, scheme: str, organization_ids: Sequence[str], claim_ids: Sequence[str] | None
) -> list[Claim]:
    """The approved claims of a scheme at these organisations, or those of them that are named."""
    ids = None if claim_ids is None else list(claim_ids)
    rows = await reader.fetch(_TO_PAY, scheme=scheme, organization_ids=list(organization_ids), claim_ids=ids)
    return [claim_of(row) for row in rows]


async def get(reader: Reader, viewer: Viewer, claim_id: str) -> Claim | None:
    """The claim, where the viewer may see it."""
    row = await reader.fetch_one(_get(viewer.sight), claim_id=claim_id, **_key(viewer))
    return None if row is None else claim_of(row)


async def list_claims(reader: Reader, viewer: Viewer, status: Status | None, after: str, page_size: int) -> list[Claim]:
    """The claims that the viewer may see, newest first, after the one named."""
    parameters: dict[str, object] = {**_key(viewer), "page_size": page_size}
    if status is not None:
        parameters["status"] = status
    if after:
        parameters["after"] = after
    statement = _listing(viewer.sight, by_status=status is not None, is_continued=bool(after))
    return [claim_of(row) for row in await reader.fetch(statement, **parameters)]


async def all_claims(reader: Reader) -> AsyncIterator[Claim]:
    """Every claim, in the order of ids."""
    after = ""
    while rows := await reader.fetch(_AFTER, after=after):
        for row in rows:
            yield claim_of(row)
        after = rows[-1]["claim_id"]
