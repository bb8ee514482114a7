"""CARD: rights to care, as the claims service keeps them.

The four digits of INSTYPE_NEW name who pays; the schemes are those of the e-Claim files and the National Health Security
Office's main rights.
"""

from datetime import datetime

from nhip.claims.v1 import resources_pb2

from libs.thai.dates import BANGKOK
from services.exchange.mapping.pieces import Row, columns, date_of, epoch_of

_CARD = columns(
    "CARD", "INSTYPE_NEW", "INSTYPE_OLD", "INSID", "STARTDATE", "EXPIREDATE", "MAIN", "SUB", "D_UPDATE"
)  # fmt: skip

# By the longest prefix of INSTYPE_NEW. Who pays for themselves (91) has no right to record.
_SCHEMES = {
    "01": "UCS",
    "11": "OFC",
    "12": "OFC",
    "13": "OFC",
    "14": "OFC",
    "19": "OFC",
    "2101": "BKK",
    "2102": "BKK",
    "2103": "BKK",
    "2104": "BKK",
    "2501": "BKK",
    "2": "LGO",
    "3": "OFC",
    "41": "WCF",
    "42": "SSS",
    "51": "PI",
    "61": "RAA",
    "71": "OGO",
    "81": "OTH",
    "82": "OTH",
    "83": "STP",
    "84": "NRH",
}


def scheme_of(right: str) -> str:
    """The scheme that a right of four digits belongs to; empty where nobody but the person pays."""
    return next((_SCHEMES[right[:length]] for length in (4, 2, 1) if right[:length] in _SCHEMES), "")


def coverage_of(row: Row, registration_id: str) -> resources_pb2.Coverage | None:
    """The right of a row of CARD; None where the person pays alone.

    A right that does not say since when holds since it was written down.
    """
    right, sub_right, number, start, end, main, primary, updated = _CARD(row)
    scheme = scheme_of(right)
    if not scheme:
        return None
    written = datetime.fromtimestamp(epoch_of(updated), BANGKOK).date().isoformat()
    return resources_pb2.Coverage(
        registration_id=registration_id,
        scheme=scheme,
        sub_scheme=sub_right,
        card_number=number,
        main_organization_id=main,
        primary_organization_id=primary,
        starts_on=date_of(start) or written,
        ends_on=date_of(end) or "",
    )
