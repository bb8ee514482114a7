"""Inputs that are given by reference: fetched, checked and stored, so that the source is needed no longer than that.

An input that is not complete when its worker dies is fetched anew. One that cannot be had does not stop the others.
"""

import asyncio
import base64
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

import httpx

from libs.outbound import Outbound, OutboundError
from services.exchange.formats.ndjson.intake import Intake, IntakeError
from services.exchange.job import Job
from services.exchange.model import Input
from services.exchange.rules import backoff
from services.exchange.store import inputs
from services.exchange.store.progress import LeaseLostError

log = logging.getLogger(__name__)

# A source that does not answer is asked again so often, for about a minute in all.
TRIES = 9
_HEADERS = {
    "accept": "application/fhir+ndjson, application/ndjson;q=0.9, */*;q=0.1",
    "accept-encoding": "gzip, identity",
}
_OK = 200
# Statuses that pass by themselves.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_DIGEST = re.compile(r"(?:^|[\s,])sha-256=:([A-Za-z0-9+/=]+):")


class _PassingError(Exception):
    """The source may answer when it is asked again."""


async def fetch_all(job: Job, outbound: Outbound, known: Sequence[Input]) -> list[Input]:
    """The inputs, each complete or with the reason why it will never be. Raises LeaseLostError."""
    return [one if one.is_complete else await _fetched(job, outbound, one) for one in known]


async def _fetched(job: Job, outbound: Outbound, one: Input) -> Input:
    done = await _tried(job, outbound, one)
    async with job.database.writing() as writer:
        if not await inputs.complete(writer, job.lease, done):
            raise LeaseLostError
        if done.error_reason:
            await inputs.reset(writer, job.found.import_id, one.position)
    return done


async def _tried(job: Job, outbound: Outbound, one: Input) -> Input:
    for failures in range(1, TRIES + 1):
        async with job.database.writing() as writer:
            await inputs.reset(writer, job.found.import_id, one.position)
        try:
            return await _stored(job, outbound, one)
        except (OutboundError, IntakeError) as error:
            if error.reason != "UNREACHABLE":
                return _missing(one, error.reason, error.message)
            message = error.message
        except (httpx.HTTPError, _PassingError) as error:
            message = str(error) if isinstance(error, _PassingError) else f"it broke off: {type(error).__name__}"
        # The address may carry a secret: which host it is must do.
        log.warning(
            "input %d of import %s from %s failed", one.position, job.found.import_id, urlsplit(one.url).hostname
        )
        if failures < TRIES:
            await asyncio.sleep(backoff(failures))
    return _missing(one, "UNREACHABLE", f"the file could not be fetched: {message}")


async def _stored(job: Job, outbound: Outbound, one: Input) -> Input:
    """Fetches an input once."""
    async with outbound.get(one.url, _HEADERS) as response:
        if response.status_code in _PASSING:
            raise _PassingError(f"the source answered {response.status_code}")
        if response.status_code != _OK:
            raise IntakeError("INPUT_REFUSED", f"the source answered {response.status_code}, not 200")
        if one.etag and _bare(response.headers.get("etag", "")) != _bare(one.etag):
            raise IntakeError("ETAG_MISMATCH", "the file is not the one that was meant: its ETag differs")
        intake, chunk = Intake(), 0
        async for piece in response.aiter_raw():
            for data in await asyncio.to_thread(intake.fed, piece):
                await _keep(job, one.position, chunk, data)
                chunk += 1
        for data in intake.end():
            await _keep(job, one.position, chunk, data)
        _require_checksums(one, intake.sha256, response.headers)
    return replace(one, is_complete=True, lines=intake.lines, size_bytes=intake.size_bytes, found_sha256=intake.sha256)


async def _keep(job: Job, position: int, chunk: int, data: bytes) -> None:
    async with job.database.writing() as writer:
        if not await inputs.append_held(writer, job.lease, position, chunk, data):
            raise LeaseLostError


def _require_checksums(one: Input, found: str, headers: Mapping[str, str]) -> None:
    """Raises IntakeError, reason CHECKSUM_MISMATCH: by the import's own checksum, or by one that the source tells."""
    told = {one.sha256} if one.sha256 else set()
    for name in ("content-digest", "repr-digest"):
        told |= {base64.b64decode(text).hex() for text in _DIGEST.findall(headers.get(name, ""))}
    if told - {found}:
        raise IntakeError("CHECKSUM_MISMATCH", "the SHA-256 of what was received differs from what was told")


def _missing(one: Input, reason: str, message: str) -> Input:
    return replace(one, is_complete=True, lines=0, size_bytes=0, error_reason=reason, error_message=message)


def _bare(etag: str) -> str:
    return etag.strip().removeprefix("W/").strip('"')
