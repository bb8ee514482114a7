"""The sample's part of the tariff: the drugs and tests of its own; claims brings an example tariff for the rest."""

from tools.nhip.edge import Json
from tools.population import catalog

SCHEME = "UCS"
# The fiscal year 2569; the sample's visits lie after it, and an open end keeps later ones covered.
STARTS_ON = "2025-10-01"

_LABORATORY = "71"


def items() -> list[Json]:
    """Tariff items, as POST /v1/tariffs:batch takes them: each drug and test of the catalogue at its price."""
    found = vars(catalog).values()
    # A drug is paid alike in hospital and at home, so that it stands in no one group.
    drugs = [_item(one.code, "", one.name, one.price) for one in found if isinstance(one, catalog.Drug)]
    tests = [
        _item(one.code, _LABORATORY, f"test {one.code}", one.price) for one in found if isinstance(one, catalog.Test)
    ]
    return [*drugs, *tests]


def _item(code: str, charge_group: str, name: str, satang: int) -> Json:
    return {
        "scheme": SCHEME,
        "code": code,
        "chargeGroup": charge_group,
        "name": name,
        "price": {"satang": str(satang)},
        "startsOn": STARTS_ON,
    }
