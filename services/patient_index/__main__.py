"""Wiring: `python -m services.patient_index serve | migrate`."""

from nhip.patient_index.v1 import service_pb2

from libs.access.citizen_keys import CitizenKeys
from libs.feed.server import Feed
from libs.runtime.service import Assembly, Ground, main
from services.patient_index import wire
from services.patient_index.api.service import PatientIndexApi
from services.patient_index.api.transaction import FEED, Index
from services.patient_index.feeds import snapshot
from services.patient_index.model import Identifier
from services.patient_index.store.names import NameShares


async def build(ground: Ground) -> Assembly:
    """The index on its ground."""
    citizen_keys = CitizenKeys(ground.settings.secret("citizen_key"))

    def key_of(number: Identifier) -> str:
        return citizen_keys.key_of(number.system, number.value)

    shares = NameShares(ground.database)
    index = Index(ground.database, key_of, wire.event_of, shares)
    api = PatientIndexApi(index, ground.database, ground.clock, ground.pages)
    return Assembly(
        apis={service_pb2.DESCRIPTOR.services_by_name["PatientIndexService"]: api},
        feeds=[Feed(FEED, snapshot)],
        background=[shares.keep_counted],
    )


if __name__ == "__main__":
    raise SystemExit(main("patient_index", build))
