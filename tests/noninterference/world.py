"""A small country of synthetic people, drawn from a seed: who is registered where, what was filed, what each decided."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from libs.ids import derived_id
from tests.noninterference import words

Json = dict[str, Any]
ORGANIZATIONS = ("10661", "10662", "10663")
PERMIT, DENY = 1, 2
GENERAL, SENSITIVE = 1, 2
# Types whose resources are about nobody here, and come first; the rest are about the Patient that they name.
DIRECTORY = ("Organization", "Practitioner", "Location", "Medication", "Questionnaire", "Device")


@dataclass(frozen=True)
class Registration:
    """A person as one organisation knows them; `person` is empty where the index has not said yet whose it is."""

    id: str
    organization: str
    person: str
    citizen_key: str


@dataclass(frozen=True)
class Consent:
    """What a citizen decided; an empty organisation means all."""

    citizen_key: str
    category: int
    organization: str
    decision: int


@dataclass(frozen=True)
class Writing:
    """One resource that an organisation writes; without a body it deletes."""

    organization: str
    type: str
    id: str
    body: Json | None

    @property
    def key(self) -> str:
        return f"{self.type}/{self.id}"


@dataclass
class World:
    """What is filed, in rounds: each is of a day of its own."""

    seed: int
    registrations: list[Registration] = field(default_factory=list)
    consents: list[Consent] = field(default_factory=list)
    rounds: list[list[Writing]] = field(default_factory=list)

    @property
    def persons(self) -> dict[str, list[Registration]]:
        found: dict[str, list[Registration]] = {}
        for one in self.registrations:
            found.setdefault(one.person or one.id, []).append(one)
        return found


class Drawing:
    """Draws bodies that refer to what is there already."""

    def __init__(self, rng: random.Random, world: World) -> None:
        self.rng = rng
        self.world = world
        # Directory entries by type, and records of each registration: ids.
        self.open: dict[str, list[str]] = {one: [] for one in DIRECTORY}
        self.of: dict[tuple[str, str], list[str]] = {}

    def directory(self, kind: str) -> Json:
        rng = self.rng
        body: Json = {"resourceType": kind}
        if kind in {"Organization", "Location"}:
            body["name"] = rng.choice(words.PLACES)
        if kind == "Practitioner":
            body["name"] = [{"family": rng.choice(words.FAMILIES), "given": [rng.choice(words.GIVEN)]}]
            body["identifier"] = [{"system": words.LICENCE, "value": str(rng.randrange(4))}]
        if kind == "Location":
            body["position"] = {"latitude": 13 + rng.randrange(7), "longitude": 98 + rng.randrange(3)}
            self._refer(body, "managingOrganization", "Organization")
        if kind == "Medication":
            body["code"] = {"text": rng.choice(words.DRUGS)}
        if kind == "Device":
            body["deviceName"] = [{"name": rng.choice(words.NOTES), "type": "other"}]
        if kind == "Questionnaire":
            body["status"] = "active"
            body["title"] = rng.choice(words.NOTES)
        return self._labelled(body)

    def patient(self) -> Json:
        rng = self.rng
        return self._labelled(
            {
                "resourceType": "Patient",
                "identifier": [{"system": words.HN, "value": f"HN-{rng.randrange(6)}"}],
                "name": [{"family": rng.choice(words.FAMILIES), "given": [rng.choice(words.GIVEN)]}],
                "gender": rng.choice(("male", "female")),
                "birthDate": f"{rng.randrange(1950, 1954)}-0{rng.randrange(1, 4)}-1{rng.randrange(3)}",
            }
        )

    def record(self, kind: str, registration: Registration) -> Json:
        """A record about the person, as their registration's organisation writes it."""
        made: Json = getattr(self, f"_{kind.lower()}")(registration)
        return self._labelled({"resourceType": kind, **made})

    def _about(self, registration: Registration) -> Json:
        return {"reference": f"Patient/{registration.id}"}

    def _refer(self, body: Json, element: str, kind: str) -> None:
        if self.open[kind] and self.rng.random() < 0.6:
            body[element] = {"reference": f"{kind}/{self.rng.choice(self.open[kind])}"}

    def _one_of(self, kind: str, registration: Registration) -> Json | None:
        """A reference to a record of the same person, mostly of the same registration."""
        siblings = self.world.persons[registration.person or registration.id]
        chosen = registration if self.rng.random() < 0.7 else self.rng.choice(siblings)
        known = self.of.get((kind, chosen.id), [])
        return {"reference": f"{kind}/{self.rng.choice(known)}"} if known and self.rng.random() < 0.7 else None

    def _with(self, body: Json, **references: Json | None) -> Json:
        body.update((name, one) for name, one in references.items() if one is not None)
        return body

    def _encounter(self, registration: Registration) -> Json:
        rng = self.rng
        day = words.day(rng)
        body: Json = {
            "status": rng.choice(("finished", "in-progress")),
            "class": {"system": words.ACT, "code": rng.choice(("AMB", "IMP", "EMER"))},
            "subject": self._about(registration),
            "period": {"start": f"{day}T09:00:00+07:00", "end": f"{day}T10:00:00+07:00"},
        }
        self._refer(body, "serviceProvider", "Organization")
        if self.open["Practitioner"] and rng.random() < 0.6:
            body["participant"] = [
                {"individual": {"reference": f"Practitioner/{rng.choice(self.open['Practitioner'])}"}}
            ]
        if self.open["Location"] and rng.random() < 0.5:
            body["location"] = [{"location": {"reference": f"Location/{rng.choice(self.open['Location'])}"}}]
        return body

    def _observation(self, registration: Registration) -> Json:
        rng = self.rng
        body: Json = {
            "status": rng.choice(("final", "amended")),
            "code": {"coding": [{"system": words.LOINC, "code": rng.choice(words.TESTS)}]},
            "subject": self._about(registration),
            "effectiveDateTime": words.day(rng),
        }
        if rng.random() < 0.7:
            body["valueQuantity"] = words.quantity(rng)
        else:
            code = {"coding": [{"system": words.LOINC, "code": rng.choice(words.TESTS)}]}
            body["component"] = [{"code": code, "valueQuantity": words.quantity(rng)}]
        if rng.random() < 0.3:
            body["note"] = [{"text": rng.choice(words.NOTES)}]
        if self.open["Practitioner"] and rng.random() < 0.5:
            body["performer"] = [{"reference": f"Practitioner/{rng.choice(self.open['Practitioner'])}"}]
        member = self._one_of("Observation", registration)
        return self._with(
            body,
            encounter=self._one_of("Encounter", registration),
            hasMember=[member] if member and rng.random() < 0.5 else None,
        )

    def _condition(self, registration: Registration) -> Json:
        rng = self.rng
        body = {
            "clinicalStatus": {"coding": [{"system": words.CLINICAL, "code": "active"}]},
            "code": {"coding": [{"system": words.ICD10, "code": rng.choice(words.DIAGNOSES)}]},
            "subject": self._about(registration),
            "recordedDate": words.day(rng),
            "onsetDateTime": words.day(rng),
        }
        return self._with(body, encounter=self._one_of("Encounter", registration))

    def _allergyintolerance(self, registration: Registration) -> Json:
        status = {"coding": [{"system": words.ALLERGY, "code": "active"}]}
        return {
            "clinicalStatus": status,
            "code": {"text": self.rng.choice(words.DRUGS)},
            "patient": self._about(registration),
            "criticality": self.rng.choice(("low", "high")),
        }

    def _medicationrequest(self, registration: Registration) -> Json:
        body: Json = {
            "status": "active",
            "intent": "order",
            "subject": self._about(registration),
            "authoredOn": words.day(self.rng),
        }
        self._refer(body, "medicationReference", "Medication")
        if "medicationReference" not in body:
            body["medicationCodeableConcept"] = {"text": self.rng.choice(words.DRUGS)}
        return self._with(body, encounter=self._one_of("Encounter", registration))

    def _list(self, registration: Registration) -> Json:
        items = [self._one_of(kind, registration) for kind in ("Observation", "Condition", "Encounter", "Observation")]
        return {
            "status": "current",
            "mode": "working",
            "subject": self._about(registration),
            "entry": [{"item": one} for one in items if one] or [{"item": self._about(registration)}],
        }

    def _provenance(self, registration: Registration) -> Json:
        # About the person only by what it is about: no element names them.
        target = next((one for kind in ("Observation", "Condition") if (one := self._one_of(kind, registration))), None)
        return {
            "target": [target or self._about(registration)],
            "recorded": f"{words.day(self.rng)}T12:00:00+07:00",
            "agent": [{"who": {"display": self.rng.choice(words.FAMILIES)}}],
        }

    def _group(self, registration: Registration) -> Json:
        return {
            "type": "person",
            "actual": True,
            "name": self.rng.choice(words.NOTES),
            "member": [{"entity": self._about(registration)}],
        }

    def _valueset(self, registration: Registration) -> Json:
        # A definition that names a person is that person's.
        return {
            "url": f"http://x.example/sets/{self.rng.randrange(3)}",
            "status": "active",
            "extension": [{"url": "http://x.example/of", "valueReference": self._about(registration)}],
            "compose": {
                "include": [{"system": words.LOINC, "concept": [{"code": self.rng.choice(words.TESTS)}]}],
            },
        }

    def _binary(self, registration: Registration) -> Json:
        return {
            "contentType": "text/plain",
            "data": self.rng.choice(("4LiB", "4LiC")),
            "securityContext": self._about(registration),
        }

    def _labelled(self, body: Json) -> Json:
        rng = self.rng
        meta: Json = {}
        if rng.random() < 0.2:
            meta["tag"] = [{"system": words.TAGS, "code": rng.choice("abc")}]
        if rng.random() < 0.15:
            meta["profile"] = [f"http://x.example/profiles/{rng.randrange(3)}"]
        if rng.random() < 0.12 and body["resourceType"] not in DIRECTORY:
            meta["security"] = [{"system": words.CONFIDENTIALITY, "code": "R"}]
        if rng.random() < 0.2 and body["resourceType"] != "Binary":
            div = f'<div xmlns="http://www.w3.org/1999/xhtml">{rng.choice(words.NOTES)}</div>'
            body["text"] = {"status": "generated", "div": div}
        return {**body, "meta": meta} if meta else body


# How many of each a registration has; the order is that of what they refer to.
RECORDS = {
    "Encounter": (0, 3),
    "Condition": (0, 3),
    "Observation": (1, 6),
    "AllergyIntolerance": (0, 2),
    "MedicationRequest": (0, 2),
    "List": (0, 2),
    "Provenance": (0, 2),
    "Group": (0, 1),
    "ValueSet": (0, 1),
    "Binary": (0, 1),
}


def draw(seed: int) -> tuple[World, Drawing]:
    """The world of a seed, and who goes on drawing in it."""
    rng = random.Random(f"world/{seed}")
    world = World(seed)
    _people(rng, world)
    drawing = Drawing(rng, world)
    first: list[Writing] = []
    for kind in DIRECTORY:
        for number in range(rng.randrange(1, 4)):
            identity = derived_id(str(seed), kind, str(number))
            first.append(Writing(rng.choice(ORGANIZATIONS), kind, identity, drawing.directory(kind)))
            drawing.open[kind].append(identity)
    patients = [Writing(one.organization, "Patient", one.id, drawing.patient()) for one in world.registrations]
    world.rounds += [first, patients]
    for kind, (least, most) in RECORDS.items():
        made: list[Writing] = []
        for registration in world.registrations:
            for number in range(rng.randint(least, most)):
                identity = derived_id(str(seed), kind, registration.id, str(number))
                body = drawing.record(kind, registration)
                made.append(Writing(registration.organization, kind, identity, body))
        # Known once all of a kind are drawn, so that each refers to what a round before filed.
        for one in made:
            drawing.of.setdefault((kind, registration_of(one, world)), []).append(one.id)
        world.rounds.append(made)
    world.rounds.append(list(_later(rng, world, drawing)))
    return world, drawing


def registration_of(writing: Writing, world: World) -> str:
    """The registration that a body names; empty for none."""
    text = json.dumps(writing.body)
    return next((one.id for one in world.registrations if f'"Patient/{one.id}"' in text), "")


def _people(rng: random.Random, world: World) -> None:
    for number in range(5):
        key = f"key-{number}" if rng.random() < 0.8 else ""
        organizations = rng.sample(ORGANIZATIONS, rng.randint(1, 3))
        for place, organization in enumerate(organizations):
            identity = derived_id(str(world.seed), "registration", str(number), str(place))
            world.registrations.append(Registration(identity, organization, f"person-{number}", key))
        if key and rng.random() < 0.7:
            for category in (GENERAL, SENSITIVE):
                if rng.random() < 0.6:
                    decision = DENY if category == GENERAL else rng.choice((PERMIT, DENY))
                    organization = rng.choice(("", *ORGANIZATIONS))
                    world.consents.append(Consent(key, category, organization, decision))
    # One that the index has not placed yet.
    identity = derived_id(str(world.seed), "registration", "unplaced")
    world.registrations.append(Registration(identity, rng.choice(ORGANIZATIONS), "", ""))


def _later(rng: random.Random, world: World, drawing: Drawing) -> Iterator[Writing]:
    """New versions of some, deletions of others."""
    filed = [one for batch in world.rounds[1:] for one in batch]
    for old in rng.sample(filed, len(filed) // 4):
        registration = next((one for one in world.registrations if one.id == registration_of(old, world)), None)
        if old.type == "Patient":
            yield Writing(old.organization, old.type, old.id, drawing.patient())
        elif rng.random() < 0.3:
            yield Writing(old.organization, old.type, old.id, None)
        elif registration is not None:
            yield Writing(old.organization, old.type, old.id, drawing.record(old.type, registration))
