"""Wiring: `python -m services.patient_index serve | migrate | replay [--repair]`."""

import asyncio
import sys
from collections.abc import Sequence

from nhip.patient_index.v1 import service_pb2

from libs.access.citizen_keys import CitizenKeys
from libs.clock import system_clock
from libs.database.engine import Database
from libs.errors import NhipError
from libs.feed.follower import Subscription
from libs.feed.server import Feed
from libs.runtime.service import Assembly, Ground, main
from libs.runtime.settings import Settings, SettingsError
from services.patient_index import followers, wire
from services.patient_index.api import replaying
from services.patient_index.api.ground import Means
from services.patient_index.api.service import PatientIndexApi
from services.patient_index.api.shadowing import DecidingModel, Shadowing
from services.patient_index.api.transaction import FEED, Index
from services.patient_index.feeds import snapshot
from services.patient_index.figures import keep_refreshed
from services.patient_index.model import Identifier
from services.patient_index.store.names import NameShares


async def build(ground: Ground) -> Assembly:
    """The index on its ground."""
    citizen_keys = CitizenKeys(ground.settings.secret("citizen_key"))

    def key_of(number: Identifier) -> str:
        return citizen_keys.key_of(number.system, number.value)

    shares = NameShares(ground.database)
    model = DecidingModel(ground.database)
    await model.read()
    index = Index(ground.database, key_of, wire.event_of, shares, model)
    shadowing = Shadowing(index, ground.database, ground.clock)
    means = Means(index, ground.database, ground.clock, ground.pages, model.read, shadowing.wake.set)
    api = PatientIndexApi(means)
    return Assembly(
        apis={service_pb2.DESCRIPTOR.services_by_name["PatientIndexService"]: api},
        feeds=[Feed(FEED, snapshot)],
        subscriptions=[Subscription("identity", "identity", followers.apply_identity, followers.reset_identity)],
        background=[
            shares.keep_counted,
            model.keep_read,
            shadowing.keep_scoring,
            lambda: keep_refreshed(ground.database, ground.clock),
        ],
    )


def run(arguments: Sequence[str]) -> int:
    """`serve`, `migrate`, or `replay`: rebuild the index from its decisions beside what stands, and compare.

    `replay` (or `replay --check`) exits with 0 where they agree and 1 where they do not; `replay --repair` then puts what
    stands right and announces it.
    """
    if arguments[:1] != ["replay"]:
        return main("patient_index", build, arguments)
    if list(arguments[1:]) not in ([], ["--check"], ["--repair"]):
        sys.stderr.write("usage: python -m services.patient_index replay [--check | --repair]\n")
        return 2
    try:
        return asyncio.run(_replay(Settings.read("patient_index"), is_repair="--repair" in arguments))
    except (SettingsError, NhipError) as error:
        sys.stderr.write(f"patient_index: {error}\n")
        return 1


async def _replay(settings: Settings, *, is_repair: bool) -> int:
    database = await Database.connect(settings.database_url, name="nhip-patient_index-replay", max_size=2)
    try:
        found = await replaying.compare(database)
        sys.stdout.write(f"{found.told}\n")
        if found.is_sound or not is_repair:
            return 0 if found.is_sound else 1
        repaired = await replaying.repair(database, found, wire.event_of, system_clock())
        sys.stdout.write(f"put right: {repaired} registrations, announced; pairs as decided\n")
        return 0
    finally:
        await database.close()


if __name__ == "__main__":
    raise SystemExit(run(sys.argv[1:]))
