"""Counts for the detector, and the alerts that it raises."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import asyncpg
from sqlalchemy import text

from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from services.surveillance.model import Alert, Cell

# The week of the first case of any disease: what lies before it is unknown.
EARLIEST_SQL = "(SELECT min(week_on) FROM cases WHERE role = 1 AND status <> 3)"

_EARLIEST = Statement("surveillance.earliest", text(f"SELECT {EARLIEST_SQL}"))

# Digits sort before '~' in the C collation, so that a range takes every place below one.
_COUNT = Statement(
    "surveillance.count",
    text(
        """
        SELECT wanted.disease_code, wanted.place_code, counted.week_on, counted.cases
        FROM unnest(
            CAST(:disease_codes AS text[]), CAST(:place_codes AS text[]), CAST(:first_weeks AS date[]),
            CAST(:last_weeks AS date[])
        ) AS wanted (disease_code, place_code, first_week, last_week)
        CROSS JOIN LATERAL (
            SELECT week_on, count(*) AS cases FROM cases
            WHERE role = 1 AND status <> 3 AND disease_code = wanted.disease_code
              AND place_code >= wanted.place_code COLLATE "C" AND place_code < (wanted.place_code || '~') COLLATE "C"
              AND week_on BETWEEN wanted.first_week AND wanted.last_week
            GROUP BY week_on
        ) AS counted
        """
    ),
)

_STANDING = Statement(
    "surveillance.standing_alerts",
    text(
        """
        SELECT alerts.* FROM alerts
        JOIN unnest(
            CAST(:disease_codes AS text[]), CAST(:place_codes AS text[]), CAST(:first_weeks AS date[]),
            CAST(:last_weeks AS date[])
        ) AS wanted (disease_code, place_code, first_week, last_week)
          ON alerts.disease_code = wanted.disease_code AND alerts.place_code = wanted.place_code COLLATE "C"
         AND alerts.week_on BETWEEN wanted.first_week AND wanted.last_week
        WHERE alerts.is_standing
        """
    ),
)

# Where cases lie in weeks whose baseline has just become, or ceased to be, known.
_CELLS_BETWEEN = Statement(
    "surveillance.cells_between",
    text(
        """
        SELECT DISTINCT disease_code, place_code, week_on FROM cases
        WHERE role = 1 AND status <> 3 AND week_on >= CAST(:first_week AS date) AND week_on < CAST(:end_week AS date)
        """
    ),
)

_RAISE = Statement(
    "surveillance.raise_alerts",
    text(
        """
        INSERT INTO alerts (
            alert_id, disease_code, place_code, week_on, cases, expected, score, detector, is_standing, recorded_at
        )
        SELECT raised.*, true, CAST(:recorded_at AS timestamptz)
        FROM unnest(
            CAST(:alert_ids AS text[]), CAST(:disease_codes AS text[]), CAST(:place_codes AS text[]),
            CAST(:weeks AS date[]), CAST(:cases AS integer[]), CAST(:expected AS double precision[]),
            CAST(:scores AS double precision[]), CAST(:detectors AS text[])
        ) AS raised (alert_id, disease_code, place_code, week_on, cases, expected, score, detector)
        ON CONFLICT (alert_id) DO UPDATE SET
            cases = excluded.cases, expected = excluded.expected, score = excluded.score, is_standing = true
        RETURNING alert_id, xmax = 0 AS is_new
        """
    ),
)

_LOWER = Statement(
    "surveillance.lower_alerts",
    text("UPDATE alerts SET is_standing = false WHERE alert_id = ANY(CAST(:alert_ids AS text[]))"),
)


@dataclass(frozen=True, slots=True)
class Span:
    """Weeks of one disease and place, both ends included."""

    disease_code: str
    place_code: str
    first_week: date
    last_week: date


async def earliest_week(reader: Reader) -> date | None:
    """The week of the first case; None where there is none."""
    week: date | None = await reader.fetch_value(_EARLIEST)
    return week


async def counts(reader: Reader, spans: Sequence[Span]) -> dict[Cell, int]:
    """The counts within the spans; weeks without a case are missing."""
    rows = await reader.fetch(_COUNT, **_arrays(spans))
    return {Cell(row["disease_code"], row["place_code"], row["week_on"]): row["cases"] for row in rows}


async def standing(reader: Reader, spans: Sequence[Span]) -> dict[Cell, Alert]:
    """The alerts that stand within the spans."""
    return {alert.cell: alert for alert in map(alert_of, await reader.fetch(_STANDING, **_arrays(spans)))}


async def cells_between(reader: Reader, first_week: date, end_week: date) -> list[tuple[str, str, date]]:
    """Disease, place and week of the cases from the first week on and before the end."""
    rows = await reader.fetch(_CELLS_BETWEEN, first_week=first_week, end_week=end_week)
    return [(row["disease_code"], row["place_code"], row["week_on"]) for row in rows]


async def raise_alerts(writer: Writer, alerts: Mapping[str, Alert]) -> list[Alert]:
    """Stores alerts that stand; those that were never raised before."""
    raised = list(alerts.values())
    rows = await writer.change(
        _RAISE,
        alert_ids=[one.alert_id for one in raised],
        disease_codes=[one.cell.disease_code for one in raised],
        place_codes=[one.cell.place_code for one in raised],
        weeks=[one.cell.week_on for one in raised],
        cases=[one.cases for one in raised],
        expected=[one.expected for one in raised],
        scores=[one.score for one in raised],
        detectors=[one.detector for one in raised],
        recorded_at=raised[0].recorded_at,
    )
    return [alerts[row["alert_id"]] for row in rows if row["is_new"]]


async def lower_alerts(writer: Writer, alert_ids: Sequence[str]) -> None:
    """These counts stand out no longer."""
    await writer.execute(_LOWER, alert_ids=list(alert_ids))


def alert_of(row: asyncpg.Record) -> Alert:
    """An alert from a row of the table."""
    return Alert(
        alert_id=row["alert_id"],
        cell=Cell(row["disease_code"], row["place_code"], row["week_on"]),
        cases=row["cases"],
        expected=row["expected"],
        score=row["score"],
        detector=row["detector"],
        recorded_at=row["recorded_at"],
    )


def _arrays(spans: Sequence[Span]) -> dict[str, list[object]]:
    return {
        "disease_codes": [span.disease_code for span in spans],
        "place_codes": [span.place_code for span in spans],
        "first_weeks": [span.first_week for span in spans],
        "last_weeks": [span.last_week for span in spans],
    }
