"""Requests drawn from a seed: every search feature and interaction, over what is there, what is hidden and what is nowhere."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from libs.fhir.search_parameters import SearchParameter, parameters_of
from tests.noninterference import words
from tests.noninterference.stores import Pair
from tests.noninterference.topics import CODES, LABELS, LINKS, TYPES, USEFUL, Pairs, targets

# What requests are mostly about: the types that refer to each other.
_COMMON = ("Observation", "Encounter", "Condition", "Patient", "List", "Provenance", "Practitioner")
_PREFIXES = ("", "", "eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap")
_FHIR = {"content-type": "application/fhir+json"}


@dataclass(frozen=True)
class Ask:
    """One request; the path of an RPC is `rpc:Method`."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""

    def __str__(self) -> str:
        return json.dumps([self.method, self.path, self.query, self.headers, self.body], ensure_ascii=False)

    @classmethod
    def parse(cls, text: str) -> "Ask":
        method, path, query, headers, body = json.loads(text)
        return cls(method, path, tuple(map(tuple, query)), tuple(map(tuple, headers)), body)

    @property
    def query_string(self) -> str:
        return "&".join(f"{quote(name, safe=':._*')}={quote(value, safe='/:|,$*.-')}" for name, value in self.query)


@dataclass
class Asking:
    """Draws requests for the caller of a pair."""

    rng: random.Random
    pair: Pair
    _ids: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key in (*self.pair.seen, *self.pair.hidden, *self.pair.hidden):
            kind, _, identity = key.partition("/")
            self._ids.setdefault(kind, []).append(identity)

    def draw(self) -> Ask:
        """A request."""
        ways: Sequence[tuple[int, Callable[[], Ask]]] = (
            (44, self._search),
            (3, self._system_search),
            (5, self._compartment),
            (12, self._read),
            (7, self._history),
            (6, self._operation),
            (14, self._write),
            (4, self._transaction),
            (3, self._batch),
            (4, self._rpc),
        )
        return self.rng.choices([way for _, way in ways], [weight for weight, _ in ways])[0]()

    # What requests are made of.

    def _type(self) -> str:
        return self.rng.choice(_COMMON if self.rng.random() < 0.7 else TYPES)

    def _id(self, kind: str) -> str:
        """One that is there, one that is hidden, or rarely one that is nowhere."""
        known = self._ids.get(kind, [])
        return self.rng.choice(known) if known and self.rng.random() < 0.95 else "nowhere"

    def _key(self, kind: str = "") -> str:
        kind = kind or self._type()
        return f"{kind}/{self._id(kind)}"

    def _parameter(self, kind: str) -> SearchParameter:
        known = sorted(parameters_of(kind).values(), key=lambda one: one.name)
        useful = [one for one in known if (kind, one.name) in USEFUL]
        return self.rng.choice(useful if useful and self.rng.random() < 0.75 else known)

    def _condition(self, kind: str, depth: int = 3) -> tuple[str, str]:
        """One parameter of a search, plain or by links."""
        draw = self.rng.random()
        forth, back = LINKS[kind]
        if depth and forth and draw < 0.15:
            link, target = self.rng.choice([one for one in forth if (kind, one[0]) in USEFUL] or forth)
            name, value = self._condition(target, depth - 1)
            return f"{link}:{target}.{name}", value
        if depth and back and draw < 0.3:
            source, link = self.rng.choice([one for one in back if one in USEFUL] or back)
            name, value = self._condition(source, depth - 1)
            return f"_has:{source}:{link}:{name}", value
        return self._plain(kind)

    def _plain(self, kind: str) -> tuple[str, str]:
        rng = self.rng
        if rng.random() < 0.04:
            return "_list", self._id("List")
        parameter = self._parameter(kind)
        if rng.random() < 0.07:
            return f"{parameter.name}:missing", rng.choice(("true", "false"))
        if parameter.name in {"_id", "_text", "_content"}:
            values = {"_id": lambda: self._id(kind)}.get(parameter.name, lambda: rng.choice(words.NOTES)[:7])
            return parameter.name, ",".join(values() for _ in range(rng.randint(1, 3)))
        modifier, value = getattr(self, f"_{parameter.kind}")(parameter)
        if rng.random() < 0.15:
            value += f",{getattr(self, f'_{parameter.kind}')(parameter)[1]}"
        return parameter.name + modifier, value

    def _token(self, parameter: SearchParameter) -> tuple[str, str]:
        rng = self.rng
        system, codes = rng.choice(CODES)
        code = rng.choice(codes)
        modifier = rng.choice(("", "", "", "", ":not", ":text", ":in", ":not-in", ":of-type"))
        if modifier in {":in", ":not-in"}:
            return modifier, f"http://x.example/sets/{rng.randrange(3)}"
        if modifier == ":of-type":
            return modifier, f"{words.HN}|MR|HN-1"
        if modifier == ":text":
            return modifier, code[:4]
        return modifier, rng.choice((code, f"{system}|{code}", f"{system}|"))

    def _string(self, parameter: SearchParameter) -> tuple[str, str]:
        text = self.rng.choice((*words.FAMILIES, *words.GIVEN, *words.PLACES, *words.NOTES))
        modifier = self.rng.choice(("", "", ":exact", ":contains"))
        return modifier, text if modifier == ":exact" else text[: self.rng.randint(2, 5)]

    def _date(self, parameter: SearchParameter) -> tuple[str, str]:
        rng = self.rng
        days = (words.day(rng), "2024-05", "2024-06-03", "2024-06-30", "1952-02-11", f"{words.day(rng)}T09:30:00Z")
        return "", rng.choice(_PREFIXES) + rng.choice(days)

    def _number(self, parameter: SearchParameter) -> tuple[str, str]:
        return "", self.rng.choice(_PREFIXES) + str(self.rng.choice(words.VALUES))

    def _quantity(self, parameter: SearchParameter) -> tuple[str, str]:
        unit = self.rng.choice(("", f"|{words.UCUM}|g/dL", "||g/dL"))
        return "", f"{self.rng.choice(_PREFIXES)}{self.rng.choice(words.VALUES)}{unit}"

    def _uri(self, parameter: SearchParameter) -> tuple[str, str]:
        url = self.rng.choice(("http://x.example/profiles/1", "http://x.example/sets/1", "http://x.example"))
        return self.rng.choice(("", ":below", ":above")), url

    def _reference(self, parameter: SearchParameter) -> tuple[str, str]:
        rng = self.rng
        target = rng.choice(targets(parameter) or ["Patient"])
        if rng.random() < 0.1:
            return ":identifier", f"{words.LICENCE}|{rng.randrange(4)}"
        if rng.random() < 0.2:
            return f":{target}", self._id(target)
        return "", self._key(target)

    def _composite(self, parameter: SearchParameter) -> tuple[str, str]:
        code = self.rng.choice(words.TESTS)
        return "", f"{code}${self.rng.choice(_PREFIXES)}{self.rng.choice(words.VALUES)}"

    def _special(self, parameter: SearchParameter) -> tuple[str, str]:
        return "", f"{13 + self.rng.randrange(7)}|99|{self.rng.choice((50, 500))}|km"

    def _result(self, kind: str) -> Pairs:
        """Parameters of the result."""
        rng = self.rng
        found: Pairs = []
        if rng.random() < 0.6:
            found.append(("_count", rng.choice(("1", "1", "2", "2", "3", "5", "1000", "0"))))
        if rng.random() < 0.4:
            found.append(("_total", rng.choice(("accurate", "estimate", "none"))))
        if rng.random() < 0.35:
            sortable = [one.name for one in parameters_of(kind).values() if one.kind not in {"composite", "special"}]
            useful = [one for one in sortable if (kind, one) in USEFUL] or ["_id"]
            names = [rng.choice(useful if rng.random() < 0.7 else sortable) for _ in range(rng.randint(1, 2))]
            found.append(("_sort", ",".join(rng.choice(("", "-")) + one for one in names)))
        if rng.random() < 0.15:
            found.append(("_summary", rng.choice(("true", "text", "data", "count", "false"))))
        if rng.random() < 0.1:
            found.append(("_elements", rng.choice(("subject", "code,status", "name"))))
        if rng.random() < 0.02:
            found.append(("_explain", "true"))
        for _ in range(rng.choice((0, 0, 1, 1, 2))):
            found.append(self._inclusion(kind))
        return found

    def _inclusion(self, kind: str) -> tuple[str, str]:
        rng = self.rng
        iterates = rng.random() < 0.4
        suffix = ":iterate" if iterates else ""
        if rng.random() < 0.5:
            source = self._type() if iterates else kind
            forth, _ = LINKS[source]
            if not forth or rng.random() < 0.3:
                return f"_include{suffix}", rng.choice(("*", f"{source}:*"))
            return f"_include{suffix}", f"{source}:{rng.choice(forth)[0]}"
        _, back = LINKS[kind]
        if not back or rng.random() < 0.2:
            return f"_revinclude{suffix}", f"{self._type()}:*"
        source, link = rng.choice([one for one in back if one in USEFUL] or back)
        return f"_revinclude{suffix}", f"{source}:{link}"

    # Requests that read.

    def _query(self, kind: str) -> tuple[tuple[str, str], ...]:
        conditions = [self._condition(kind) for _ in range(self.rng.choice((0, 1, 1, 1, 2)))]
        return (*conditions, *self._result(kind))

    def _search(self) -> Ask:
        kind = self._type()
        query = self._query(kind)
        headers = (("prefer", "handling=lenient"),) if self.rng.random() < 0.3 else ()
        if self.rng.random() < 0.15:
            form = Ask("POST", f"{kind}/_search", query).query_string
            posted = ("content-type", "application/x-www-form-urlencoded")
            return Ask("POST", f"{kind}/_search", (), (*headers, posted), form)
        return Ask("GET", kind, query, headers)

    def _system_search(self) -> Ask:
        types = [self._type() for _ in range(self.rng.choice((0, 1, 2, 2, 3, 3)))]
        query: Pairs = [("_type", ",".join(types))] if types else []
        query.append(
            self.rng.choice((("_id", self._id("Observation")), ("_tag", "a"), ("_lastUpdated", "ge2024-06-02")))
        )
        query += [("_count", self.rng.choice(("5", "50"))), ("_total", "accurate")]
        return Ask("GET", "", tuple(query))

    def _compartment(self) -> Ask:
        kinds = ("Observation", "Condition", "Encounter", "List", "Provenance", "Patient")
        # All types at once is a statement of hundreds of conditions.
        kind = "*" if self.rng.random() < 0.03 else self.rng.choice(kinds)
        place = f"{self._key('Patient')}/{kind}"
        return Ask("GET", place, self._query(kind) if kind != "*" else (("_total", "accurate"), ("_count", "30")))

    def _read(self) -> Ask:
        rng = self.rng
        path = self._key()
        if rng.random() < 0.4:
            path += f"/_history/{rng.randint(1, 3)}"
        headers = rng.choice(
            (
                (),
                (),
                (("if-none-match", f'W/"{rng.randint(1, 3)}"'),),
                (("if-modified-since", "Mon, 03 Jun 2024 00:00:00 GMT"),),
                (("accept", "application/fhir+xml"),),
            )
        )
        return Ask(rng.choice(("GET", "GET", "HEAD")), path, (), headers)

    def _history(self) -> Ask:
        rng = self.rng
        path = rng.choice(
            (f"{self._key()}/_history", f"{self._key()}/_history", f"{self._type()}/_history", "_history")
        )
        query: Pairs = []
        if rng.random() < 0.6:
            query.append(("_count", rng.choice(("1", "3", "100"))))
        if rng.random() < 0.3:
            query.append(("_since", "2024-06-02T12:00:00Z"))
        if rng.random() < 0.3:
            query.append(("_at", rng.choice(("2024-06-02", "2024-06-03T20:00:00Z", "2024-06"))))
        return Ask("GET", path, tuple(query))

    def _operation(self) -> Ask:
        rng = self.rng
        patient = self._key("Patient")
        return rng.choice(
            (
                Ask("GET", f"{patient}/$everything", self._everything()),
                Ask("GET", f"{patient}/$everything", self._everything()),
                Ask("GET", "Patient/$everything", self._everything()),
                Ask("GET", f"{patient}/$summary"),
                Ask("GET", "Observation/$lastn", (("patient", patient), ("max", rng.choice(("1", "2"))))),
                Ask("GET", f"{self._type()}/$meta"),
                Ask("GET", "$meta"),
                Ask("GET", f"{self._key()}/$meta"),
                Ask("GET", "ValueSet/$expand", (("url", f"http://x.example/sets/{rng.randrange(3)}"),)),
                Ask("GET", f"{self._key('ValueSet')}/$expand"),
                Ask(
                    "GET",
                    "ValueSet/$validate-code",
                    (
                        ("url", f"http://x.example/sets/{rng.randrange(3)}"),
                        ("system", words.LOINC),
                        ("code", words.TESTS[0]),
                    ),
                ),
                Ask("POST", f"{self._key('Observation')}/$validate", (("mode", rng.choice(("update", "delete"))),),
                    tuple(_FHIR.items()), json.dumps(self._observation())),
            )
        )  # fmt: skip

    def _everything(self) -> tuple[tuple[str, str], ...]:
        rng = self.rng
        query: Pairs = []
        if rng.random() < 0.5:
            query.append(("_count", rng.choice(("1", "4"))))
        if rng.random() < 0.3:
            query.append(("_type", "Observation,Encounter"))
        if rng.random() < 0.2:
            query.append(("start", words.day(rng)))
        if rng.random() < 0.2:
            query.append(("_since", "2024-06-03T00:00:00Z"))
        return tuple(query)

    # Requests that write: what is refused must be refused alike.

    def _observation(self, identity: str = "") -> dict[str, Any]:
        rng = self.rng
        body: dict[str, Any] = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": words.LOINC, "code": rng.choice(words.TESTS)}]},
            "subject": {"reference": self._key("Patient")},
            "effectiveDateTime": words.day(rng),
            "valueQuantity": words.quantity(rng),
        }
        # Whether a link leads anywhere is told to who may read what it leads to.
        if rng.random() < 0.4:
            body["encounter"] = {"reference": self._key("Encounter")}
        if rng.random() < 0.3:
            body["hasMember"] = [{"reference": self._key("Observation")}]
        if identity:
            body["id"] = identity
        return body

    def _order(self) -> dict[str, Any]:
        return {
            "resourceType": "MedicationRequest",
            "status": "active",
            "intent": "order",
            "medicationCodeableConcept": {"text": self.rng.choice(words.DRUGS)},
            "subject": {"reference": self._key("Patient")},
        }

    def _headers(self, **more: str) -> tuple[tuple[str, str], ...]:
        found = {**_FHIR, **{name.replace("_", "-"): value for name, value in more.items()}}
        if self.rng.random() < 0.3:
            found["prefer"] = self.rng.choice(("return=minimal", "return=OperationOutcome"))
        return tuple(found.items())

    def _terms(self, kind: str) -> str:
        return Ask("", "", (self._condition(kind, 2),)).query_string

    def _write(self) -> Ask:
        rng = self.rng
        identity = self._id("Observation")
        patch = json.dumps([{"op": "replace", "path": "/status", "value": "amended"}])
        patching = (("content-type", "application/json-patch+json"),)
        match = {"if_match": f'W/"{rng.randint(1, 2)}"'} if rng.random() < 0.4 else {}
        condition = (self._condition("Observation", 2),)
        return rng.choice(
            (
                lambda: Ask("POST", "Observation", (), self._headers(), json.dumps(self._observation())),
                lambda: Ask("POST", "MedicationRequest", (), self._headers(), json.dumps(self._order())),
                lambda: Ask("POST", "Observation", (), self._headers(if_none_exist=self._terms("Observation")),
                            json.dumps(self._observation())),
                lambda: Ask("PUT", f"Observation/{identity}", (), self._headers(**match),
                            json.dumps(self._observation(identity))),
                lambda: Ask("PUT", "Observation", condition, self._headers(), json.dumps(self._observation())),
                lambda: Ask("PATCH", f"Observation/{identity}", (), patching, patch),
                lambda: Ask("PATCH", "Observation", condition, patching, patch),
                lambda: Ask("DELETE", self._key(rng.choice(_COMMON)), (), tuple(self._headers(**match))),
                lambda: Ask("DELETE", "Observation", condition),
                lambda: Ask("POST", f"{self._key('Observation')}/$meta-add", (), self._headers(), LABELS),
            )
        )()  # fmt: skip

    def _transaction(self) -> Ask:
        rng = self.rng
        entries = [self._reading() for _ in range(rng.randrange(2))]
        entries += [self._writing() for _ in range(rng.randint(1, 2))]
        return self._bundle("transaction", entries)

    def _batch(self) -> Ask:
        # The entries of a batch go at the same time: one that writes goes alone, or it would race with the others.
        alone = self.rng.random() < 0.3
        return self._bundle("batch", [self._writing()] if alone else [self._reading() for _ in range(3)])

    def _reading(self) -> dict[str, Any]:
        kind = self._type()
        url = self.rng.choice(
            (self._key(), f"{kind}?{self._terms(kind)}", f"{kind}?{self._terms(kind)}&_total=accurate")
        )
        return {"request": {"method": "GET", "url": url}}

    def _writing(self) -> dict[str, Any]:
        rng = self.rng
        identity = self._id("Observation")
        made: dict[str, Any] = {"method": "POST", "url": "Observation"}
        if rng.random() < 0.4:
            made["ifNoneExist"] = self._terms("Observation")
        linked = {**self._observation(), "encounter": {"reference": f"Encounter?{self._terms('Encounter')}"}}
        return rng.choice(
            (
                {"request": {"method": "DELETE", "url": self._key("Condition")}},
                {
                    "request": {"method": "PUT", "url": f"Observation/{identity}"},
                    "resource": self._observation(identity),
                },
                {"request": made, "resource": self._observation()},
                {"request": {"method": "POST", "url": "Observation"}, "resource": linked},
            )
        )

    def _bundle(self, kind: str, entries: list[dict[str, Any]]) -> Ask:
        body = {"resourceType": "Bundle", "type": kind, "entry": entries}
        return Ask("POST", "", (), self._headers(), json.dumps(body))

    # What the edge reaches by other services, or not at all.

    def _rpc(self) -> Ask:
        rng = self.rng
        if rng.random() < 0.4:
            # Under an id of a registration that nobody has announced, the first who files it has it.
            identity = rng.choice([one.id for one in self.pair.world.registrations if one.person])
            body = {"resourceType": "Patient", "id": identity, "gender": "female"}
            return Ask("CreateResource", "rpc:records", (("type", "Patient"), ("id", identity)), (), json.dumps(body))
        types = ",".join(rng.sample(("Observation", "Encounter", "Patient", "Condition", "List", "Medication"), 3))
        query: Pairs = [("types", types)] if rng.random() < 0.7 else []
        level = rng.choice(("system", "patient", "group"))
        query.append(("level", level))
        if level == "group":
            query.append(("group_id", self._id("Group")))
        if level == "patient" and rng.random() < 0.4:
            query.append(("patient_ids", self._id("Patient")))
        if rng.random() < 0.4:
            query.append(("since", "2024-06-03T00:00:00Z"))
        if rng.random() < 0.4:
            query.append(("type_filters", f"Observation?{self._terms('Observation')}"))
        return Ask("export", "rpc:exports", tuple(query))
