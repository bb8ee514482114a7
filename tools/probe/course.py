"""What the probe does, step by step. Done again it changes nothing: the same organisation, client and person each time."""

import hashlib
import hmac
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import jwt

from tools.probe.edge import Edge, Json, ProbeError

ORGANIZATION: Final = "nhip-probe"
PURPOSE: Final = "OPERATIONS"
CITIZEN_ID_SYSTEM: Final = "https://terms.sil-th.org/id/th-cid"
# Nobody: numbers that begin with 9 are given to no person.
CITIZEN_ID: Final = "9999999999994"
LOCAL_NUMBER: Final = "probe-1"
PERSON: Final[Json] = {
    "organizationId": ORGANIZATION,
    "localNumber": LOCAL_NUMBER,
    "identifiers": [{"system": CITIZEN_ID_SYSTEM, "value": CITIZEN_ID}],
    "names": [{"language": "th", "given": "ทดสอบ", "family": "ระบบสุขภาพ"}],
    "sex": "SEX_FEMALE",
    "birthDate": "2000-01-31",
    "nationality": "099",
}
_SCOPES: Final = ("registrations.read", "registrations.write")
_FOUND_SECONDS: Final = 10.0
_FOUND_AGAIN_SECONDS: Final = 0.1


# What each step is called in metrics, in their order.
STEPS: Final = ("services", "token", "enrol", "register", "read", "find", "again")


@dataclass
class Walk:
    """What one step leaves for the next."""

    edge: Edge
    client_id: str
    client_secret: str
    admin_token: str = ""
    probe_token: str = ""
    registration: Json = field(default_factory=dict)


def steps(walk: Walk) -> Iterator[tuple[str, Callable[[], str]]]:
    """Name and deed of each step, in their order; a deed answers what was seen, or raises ProbeError."""
    yield "every service answers", lambda: _services_answer(walk)
    yield "a token is issued and its signature is the published key's", lambda: _token_is_signed(walk)
    yield "the probe's organisation and client exist", lambda: _enrol(walk)
    yield "a synthetic person is registered", lambda: _register(walk)
    yield "the registration is read back", lambda: _read_back(walk)
    yield "the person is found by citizen id", lambda: _find(walk)
    yield "registered again, nothing changes", lambda: _register_again(walk)


def _services_answer(walk: Walk) -> str:
    deadline = time.monotonic() + _FOUND_SECONDS
    while True:
        services = walk.edge.get("/healthz").get("services", {})
        down = sorted(name for name, status in services.items() if status != "SERVING")
        # The probe itself needs these two; a deployment may run others elsewhere, or not at all.
        needed = [name for name in ("identity", "patient_index") if services.get(name) != "SERVING"]
        if not needed:
            return f"{len(services) - len(down)} serve" + (f"; not serving: {', '.join(down)}" if down else "")
        if time.monotonic() > deadline:
            raise ProbeError(f"not serving: {', '.join(needed)}")
        time.sleep(_FOUND_AGAIN_SECONDS)


def _token_is_signed(walk: Walk) -> str:
    walk.admin_token = walk.edge.token(walk.client_id, walk.client_secret, PURPOSE)
    try:
        keys = jwt.PyJWKSet.from_dict(walk.edge.get("/.well-known/jwks.json"))
        key_id = jwt.get_unverified_header(walk.admin_token)["kid"]
        # The clocks of the two machines may differ by a little.
        jwt.decode(walk.admin_token, keys[key_id].key, algorithms=["EdDSA"], options={"verify_aud": False}, leeway=60)
    except (jwt.PyJWTError, KeyError) as error:
        raise ProbeError(f"the token is not signed by a published key: {type(error).__name__}") from error
    return f"key {key_id}"


def _enrol(walk: Walk) -> str:
    """The probe's client is named after its secret, which follows from the administrator's: a new one is a new client."""
    secret = hmac.new(walk.client_secret.encode(), ORGANIZATION.encode(), hashlib.sha256).hexdigest()
    client_id = f"{ORGANIZATION}-{hashlib.sha256(secret.encode()).hexdigest()[:8]}"
    organization = {"organizationId": ORGANIZATION, "name": "การตรวจสอบระบบ", "nameEn": "Probe of the platform"}
    walk.edge.post("/v1/organizations", {**organization, "kind": "ORGANIZATION_KIND_AGENCY"}, walk.admin_token)
    client = {"clientId": client_id, "organizationId": ORGANIZATION, "name": "helm test", "scopes": [*_SCOPES]}
    walk.edge.post("/v1/clients", {"client": client, "clientSecret": secret}, walk.admin_token)
    walk.probe_token = walk.edge.token(client_id, secret, PURPOSE)
    return client_id


def _register(walk: Walk) -> str:
    answer = walk.edge.post("/v1/registrations", PERSON, walk.probe_token)
    walk.registration = answer.get("registration", {})
    if not (walk.registration.get("registrationId") and walk.registration.get("personId")):
        raise ProbeError("the answer to a registration names no registration or no person")
    return str(answer.get("outcome", ""))


def _read_back(walk: Walk) -> str:
    registration_id = str(walk.registration["registrationId"])
    found = walk.edge.get(f"/v1/registrations/{registration_id}", walk.probe_token).get("registration", {})
    wrong = sorted(name for name in PERSON if name not in {"identifiers", "names"} and found.get(name) != PERSON[name])
    if CITIZEN_ID not in {one.get("value") for one in found.get("identifiers", ())}:
        wrong.append("identifiers")
    if wrong:
        raise ProbeError(f"what is read is not what was written: {', '.join(wrong)}")
    return registration_id


def _find(walk: Walk) -> str:
    criteria = {"identifier": {"system": CITIZEN_ID_SYSTEM, "value": CITIZEN_ID}}
    persons = walk.edge.post("/v1/persons:search", criteria, walk.probe_token).get("persons", [])
    if walk.registration["personId"] not in {person.get("personId") for person in persons}:
        raise ProbeError("the person is not found by the identifier just registered")
    return str(walk.registration["personId"])


def _register_again(walk: Walk) -> str:
    answer = walk.edge.post("/v1/registrations", PERSON, walk.probe_token)
    outcome = str(answer.get("outcome", ""))
    if outcome != "REGISTRATION_OUTCOME_UNCHANGED":
        raise ProbeError(f"the same registration again was {outcome or 'answered without an outcome'}")
    return outcome
