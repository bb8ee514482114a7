"""Claims ⇄ rows: the lines and the statuses of a claim stand in its row as JSON."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg

from services.claims.model import Claim, Decision, Line, Outcome, Reason, Status, StatusChange


def lines_to_json(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Lines as stored; what was decided stands flat beside what was claimed."""
    return [_line_to_json(line) for line in lines]


def _line_to_json(line: Line) -> dict[str, Any]:
    stored: dict[str, Any] = {
        "number": line.number,
        "charge_group": line.charge_group,
        "code": line.code,
        "description": line.description,
        "quantity": line.quantity,
        "unit_price": line.unit_price,
    }
    if line.decision is not None:
        stored |= {
            "outcome": int(line.decision.outcome),
            "approved": line.decision.approved,
            "reason": line.decision.reason.name,
            "tariff_item_id": line.decision.tariff_item_id,
        }
    return stored


def _line_of(stored: Mapping[str, Any]) -> Line:
    decision = None
    if "outcome" in stored:
        decision = Decision(
            Outcome(stored["outcome"]), stored["approved"], Reason[stored["reason"]], stored["tariff_item_id"]
        )
    return Line(
        number=stored["number"],
        charge_group=stored["charge_group"],
        code=stored["code"],
        description=stored["description"],
        quantity=stored["quantity"],
        unit_price=stored["unit_price"],
        decision=decision,
    )


def changes_to_json(changes: Sequence[StatusChange]) -> list[dict[str, Any]]:
    """Status changes as stored."""
    return [
        {
            "status": int(change.status),
            "occurred_at": change.occurred_at.astimezone(UTC).isoformat(),
            "reason": change.reason,
        }
        for change in changes
    ]


def claim_of(row: asyncpg.Record) -> Claim:
    """A claim from its row."""
    return Claim(
        claim_id=row["claim_id"],
        organization_id=row["organization_id"],
        invoice_number=row["invoice_number"],
        registration_id=row["registration_id"],
        encounter_id=row["encounter_id"],
        scheme=row["scheme"],
        service_date=row["service_date"],
        authen_code=row["authen_code"],
        diagnoses=tuple(row["diagnoses"]),
        lines=tuple(_line_of(stored) for stored in row["lines"]),
        status=Status(row["status"]),
        status_changes=tuple(
            StatusChange(Status(change["status"]), datetime.fromisoformat(change["occurred_at"]), change["reason"])
            for change in row["status_changes"]
        ),
        recorded_at=row["recorded_at"],
        version=row["version"],
        approved=row["approved"],
        coverage_id=row["coverage_id"],
        person_id=row["person_id"],
    )
