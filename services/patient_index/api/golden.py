"""A golden view from the registrations of a person."""

from collections.abc import Hashable, Sequence
from typing import Any

from nhip.patient_index.v1 import resources_pb2, viewing_pb2

from libs.thai import names
from services.patient_index import wire
from services.patient_index.model import Held, Sex
from services.patient_index.rules.registering import folded, folded_phone, is_thai
from services.patient_index.rules.surviving import (
    SURVIVORSHIP_1,
    Rules,
    Telling,
    identifier_trust,
    survivor,
    trust_of,
)

# What a field means to whoever compares it, how full it is, and its value as filed.
_Told = tuple[Hashable, int, Any]
_UNKNOWN_NATIONALITY = "999"
_SEXLESS = (Sex.UNSPECIFIED, Sex.UNKNOWN)


def golden_view(person_id: str, registrations: Sequence[Held], rules: Rules = SURVIVORSHIP_1) -> viewing_pb2.GoldenView:
    """The view of a person by rules of survivorship."""
    view = viewing_pb2.GoldenView(person_id=person_id, rules=rules.name)
    filed = {held.registration_id: (held, wire.registration_of(held)) for held in registrations}
    for field, criteria in rules.fields.items():
        told = {one: found for one, (_, message) in filed.items() if (found := _told(field, message)) is not None}
        tellings = [
            Telling(one, meaning, fullness, trust_of(filed[one][0], rules), filed[one][0].written_at)
            for one, (meaning, fullness, _) in told.items()
        ]
        best = survivor(tellings, criteria)
        if best is None:
            continue
        value = told[best.registration_id][2]
        if isinstance(value, str | int):
            setattr(view, field, value)
        else:
            getattr(view, field).CopyFrom(value)
        held = filed[best.registration_id][0]
        view.sources.add(
            field=field,
            registration_id=held.registration_id,
            organization_id=held.organization_id,
            written_at=wire.timestamp_of(held.written_at),
            won_by=best.won_by,
            agreeing=best.agreeing,
            differing=best.differing,
        )
    view.is_unnamed = not (view.HasField("name_th") or view.HasField("name_en"))
    shown = {one for held in registrations for one in held.features.identifiers}
    for one in sorted(shown, key=identifier_trust):
        view.identifiers.add(system=one.system, value=one.value)
    return view


def _told(field: str, message: resources_pb2.Registration) -> _Told | None:
    """What a registration tells of a field; None where it says nothing."""
    if field in ("name_th", "name_en"):
        return _name(message, is_wanted_thai=field == "name_th")
    if field == "address":
        code, line = message.address.place_code, message.address.line
        return ((code, line), len(code) + bool(line), message.address) if code or line else None
    if field == "phone":
        number = folded_phone(message.phone)
        return (number, 1, message.phone) if number else None
    if field == "sex":
        return (message.sex, 1, message.sex) if Sex(message.sex) not in _SEXLESS else None
    value = getattr(message, field)
    if not value or (field == "nationality" and value == _UNKNOWN_NATIONALITY):
        return None
    return value, len(value), value


def _name(message: resources_pb2.Registration, *, is_wanted_thai: bool) -> _Told | None:
    for name in message.names:
        if is_thai(name.given or name.family) is not is_wanted_thai or names.is_placeholder(name.given):
            continue
        given, family, _ = folded(wire.name_of(name))
        if given:
            return (given, family), bool(given) + bool(family), name
    return None
