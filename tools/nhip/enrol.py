"""Makes the sample's organisations, practitioners, programs, account and tariff known, through the edge.

Everything is idempotent: doing it again changes nothing, and finishes what was cut off.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from tools.nhip import tariff
from tools.nhip.edge import EdgeClient, Json
from tools.nhip.home import Credentials
from tools.nhip.target import Target
from tools.population import Facility, Population, Practitioner

CITIZEN_ID_SYSTEM = "https://terms.sil-th.org/id/th-cid"

_KINDS = {"hospital": "ORGANIZATION_KIND_HOSPITAL", "health-centre": "ORGANIZATION_KIND_HEALTH_CENTRE"}
# What a facility's own information system does on the platform.
_FACILITY_SCOPES = (
    *("imports.write", "registrations.read", "registrations.write", "practitioners.write", "summary.read"),
    *("coverage.read", "claims.read", "claims.write", "system/*.cruds", "user/*.cruds"),
)


@dataclass(frozen=True)
class Agency:
    """An organisation that treats nobody, with its one program."""

    organization_id: str
    name: str
    name_en: str
    kind: str
    client_id: str
    scopes: tuple[str, ...]
    place_code: str = "10"


PAYER = Agency(
    "nhso",
    "สำนักงานหลักประกันสุขภาพแห่งชาติ",
    "National Health Security Office",
    "ORGANIZATION_KIND_INSURER",
    "nhso-payer",
    ("tariff.write", "coverage.read", "coverage.write", "claims.read", "claims.pay"),
)
DISEASE_CONTROL = Agency(
    "ddc",
    "กรมควบคุมโรค",
    "Department of Disease Control",
    "ORGANIZATION_KIND_AGENCY",
    "ddc-surveillance",
    ("surveillance.read",),
    "12",
)
INDEX_STEWARD = Agency(
    "moph-registry",
    "ศูนย์ทะเบียนผู้รับบริการ",
    "Registry of persons",
    "ORGANIZATION_KIND_AGENCY",
    "index-steward",
    ("registrations.read", "registrations.link", "matching.models", "audit.read"),
    "12",
)
AGENCIES = (PAYER, DISEASE_CONTROL, INDEX_STEWARD)


@dataclass
class Enrolled:
    """How the sample's programs authenticate, by organisation; and the account of the index citizen."""

    clients: dict[str, Credentials] = field(default_factory=dict)
    account_id: str = ""


def enrol(target: Target, population: Population) -> Enrolled:
    """Enrols all of the sample but its people, who come with the files. Raises EdgeError."""
    enrolled = Enrolled()
    with EdgeClient(target.edge_url, target.bootstrap_client, purpose="PURPOSE_OF_USE_OPERATIONS") as edge:
        for facility in facilities(population):
            edge.post("/v1/organizations", _facility(facility))
            for practitioner in licensed(facility):
                edge.post("/v1/practitioners", _practitioner(facility, practitioner))
        for agency in AGENCIES:
            edge.post("/v1/organizations", _agency(agency))
        for client in _clients(population):
            credentials = target.home.client(client["clientId"])
            edge.post("/v1/clients", {"client": client, "clientSecret": credentials.client_secret})
            enrolled.clients[client["organizationId"]] = credentials
        enrolled.account_id = edge.post("/v1/accounts", _account(population))["account"]["accountId"]
    with EdgeClient(target.edge_url, enrolled.clients[PAYER.organization_id], purpose="PURPOSE_OF_USE_PAYMENT") as edge:
        edge.post("/v1/tariffs:batch", {"items": tariff.items()})
    return enrolled


def facilities(population: Population) -> tuple[Facility, ...]:
    """The sample's three facilities."""
    return population.hospital_a, population.hospital_b, population.health_centre


def licensed(facility: Facility) -> list[Practitioner]:
    """Those of its practitioners whom identity can know: the others' professions have no licence."""
    return [practitioner for practitioner in facility.practitioners if practitioner.licence]


def client_id(facility: Facility) -> str:
    """The name of a facility's program."""
    return f"facility-{facility.hcode}"


def _clients(population: Population) -> Iterator[Json]:
    for facility in facilities(population):
        yield _client(client_id(facility), facility.hcode, facility.name_en, _FACILITY_SCOPES)
    for agency in AGENCIES:
        yield _client(agency.client_id, agency.organization_id, agency.name_en, agency.scopes)


def _client(identifier: str, organization_id: str, name: str, scopes: tuple[str, ...]) -> Json:
    return {"clientId": identifier, "organizationId": organization_id, "name": name, "scopes": list(scopes)}


def _facility(facility: Facility) -> Json:
    return {
        "organizationId": facility.hcode,
        "name": facility.name_th,
        "nameEn": facility.name_en,
        "kind": _KINDS[facility.kind],
        "hcode9": facility.hcode9,
        "placeCode": facility.place_code,
    }


def _agency(agency: Agency) -> Json:
    return {
        "organizationId": agency.organization_id,
        "name": agency.name,
        "nameEn": agency.name_en,
        "kind": agency.kind,
        "placeCode": agency.place_code,
    }


def _practitioner(facility: Facility, practitioner: Practitioner) -> Json:
    return {
        "organizationId": facility.hcode,
        "licence": practitioner.licence,
        "name": {
            "language": "th",
            "prefix": practitioner.prefix,
            "given": practitioner.given_th,
            "family": practitioner.family_th,
        },
        "role": f"PRACTITIONER_ROLE_{practitioner.role.replace('-', '_').upper()}",
    }


def _account(population: Population) -> Json:
    citizen = population.index_citizen
    return {
        "identifier": {"system": CITIZEN_ID_SYSTEM, "value": citizen.citizen_id},
        "displayName": f"{citizen.given_th} {citizen.family_th}",
    }
