"""Wiring: `python -m services.exchange serve | migrate`."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
from google.protobuf.message import Message
from nhip.exchange.v1 import bulk_imports_pb2, exports_pb2, service_pb2

from libs.clock import Clock
from libs.database.engine import Database
from libs.database.transactions import Reader
from libs.feed.server import Feed
from libs.outbound import Outbound
from libs.runtime.service import Assembly, Ground, main
from libs.runtime.settings import SettingsError
from services.exchange import figures
from services.exchange.api import FEED, BulkImportApi, ExchangeApi, ExportApi
from services.exchange.delivering import Deliverer
from services.exchange.exporting.worker import Exporter
from services.exchange.formats.f16.run import process as process_f16
from services.exchange.formats.f43.run import process as process_f43
from services.exchange.formats.fhir.run import process as process_fhir
from services.exchange.formats.ndjson.run import Lines
from services.exchange.model import Format
from services.exchange.neighbours import Neighbours
from services.exchange.store import jobs, uploads
from services.exchange.subscriptions import Subscriptions
from services.exchange.wire import event_of
from services.exchange.worker import Process, Worker, spooled

log = logging.getLogger(__name__)

# An upload to which no byte came for so long was broken off.
UPLOAD_IDLE = timedelta(minutes=30)
_SWEEP_SECONDS = 300.0

FORMATS: dict[Format, Process] = {
    Format.F43: spooled(process_f43),
    Format.F16: spooled(process_f16),
    Format.FHIR: spooled(process_fhir),
}
# A deployment that moves in from another server takes over its ids.
_KEEPS_IDS = "updates-create"


async def build(ground: Ground) -> Assembly:
    """Assembles the service."""
    queued, asked = asyncio.Event(), asyncio.Event()
    neighbours = Neighbours.of(ground)
    outbound = _outbound("NHIP_IMPORT_SOURCES", ground.settings.import_sources)
    endpoints = _outbound("NHIP_SUBSCRIPTION_ENDPOINTS", ground.settings.subscription_endpoints)
    deliverer = Deliverer(Subscriptions.of(ground), endpoints)
    lines = Lines(outbound, keeps_ids=_KEEPS_IDS in ground.settings.fhir_policy)
    formats = {**FORMATS, Format.NDJSON: lines.process}
    worker = Worker(ground.database, neighbours, ground.clock, ground.settings.instance, queued, formats)
    exporter = Exporter(ground.database, neighbours, ground.clock, ground.settings.instance, asked)
    return Assembly(
        apis={
            service_pb2.DESCRIPTOR.services_by_name["ExchangeService"]: ExchangeApi(
                ground.database, ground.pages, ground.clock, queued
            ),
            exports_pb2.DESCRIPTOR.services_by_name["ExportService"]: ExportApi(
                ground.database, neighbours, ground.clock, asked
            ),
            bulk_imports_pb2.DESCRIPTOR.services_by_name["BulkImportService"]: BulkImportApi(
                ground.database, outbound, ground.clock, queued
            ),
        },
        feeds=[Feed(FEED, _snapshot)],
        background=[
            worker.run,
            exporter.run,
            deliverer.run,
            lambda: _keep_swept(ground.database, ground.clock, exporter),
            lambda: figures.keep_looking(ground.database),
        ],
    )


def _outbound(name: str, text: str) -> Outbound:
    """Where a setting lets requests go. Raises SettingsError."""
    try:
        return Outbound.of(text)
    except ValueError as error:
        raise SettingsError(f"{name}: {error}") from error


async def _snapshot(reader: Reader) -> AsyncIterator[tuple[str, Message]]:
    async for found in jobs.snapshot(reader):
        yield found.import_id, event_of(found)


async def _keep_swept(database: Database, clock: Clock, exporter: Exporter) -> None:
    """Removes uploads that were broken off, and exports whose time is over, until cancelled."""
    while True:
        try:
            async with database.writing() as writer:
                await uploads.sweep(writer, clock() - UPLOAD_IDLE)
            while await exporter.sweep():
                pass
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            log.exception("what is over could not be removed; it is tried again")
        await asyncio.sleep(_SWEEP_SECONDS)


if __name__ == "__main__":
    raise SystemExit(main("exchange", build))
