"""Sends a request to both stores, and compares what is answered, byte by byte, page by page."""

import json
import random
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf import json_format
from nhip.records.v1 import exports_pb2, exports_pb2_grpc, service_pb2

from tests.noninterference.asking import Ask, Asking
from tests.noninterference.stores import ASKING, Pair, Side
from tests.services.records.stage import TIMEOUT, Refused, refusal

_BASE = "/fhir/R4"
# Pages of one search that are followed.
MOST_PAGES = 25
# The two things that are of the whole service and of nobody: sealed links (what is in them nobody reads), and how far the
# service's log of changes has come.
_SEALED = re.compile(rb"(_page=)[A-Za-z0-9_%-]+")
_PLACE = re.compile(rb"@[0-9]+\.[0-9]+")
_NEXT = re.compile(rb'"relation":"next","url":"http://edge\.test/fhir/R4([^"]+)"')
_DEFECT = 500
_TRYING_AGAIN = frozenset({503, 504})


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @property
    def said(self) -> tuple[int, tuple[tuple[bytes, bytes], ...], bytes]:
        """What must be the same of both stores."""
        headers = tuple((name, _SEALED.sub(rb"\1", _PLACE.sub(b"@", value))) for name, value in self.headers)
        lengthless = tuple(one for one in headers if one[0] != b"content-length" or b"_page=" not in self.body)
        return self.status, lengthless, _SEALED.sub(rb"\1", self.body)

    @property
    def next(self) -> str:
        """The path and query of the next page; empty for none."""
        found = _NEXT.search(self.body)
        return found[1].decode() if found else ""


@dataclass(frozen=True)
class Leak:
    """A request that the stores answer differently, with both answers."""

    ask: Ask
    page: int
    answers: tuple[Answer, Answer]

    def __str__(self) -> str:
        lines = [str(self.ask), f"page {self.page}"]
        lines += [f"{one.status} {dict(one.headers)}\n{one.body.decode('utf-8', 'replace')}" for one in self.answers]
        return "\n".join(lines)


async def compare(pair: Pair, ask: Ask, moment: int, begin: Callable[[str], None]) -> tuple[Leak | None, int]:
    """What the stores answer differently, if anything, and of how many pages; both are asked at one second, the moment."""
    told: list[list[Answer]] = []
    for side in pair.sides:
        side.stage.now[0] = ASKING + timedelta(seconds=moment)
        begin(f"{pair.world.seed}/{moment}")
        told.append([answer async for answer in _answers(side, pair, ask)])
    first, second = told
    for page, answers in enumerate(zip(first, second, strict=False)):
        # A defect hides what would have been answered.
        if answers[0].said != answers[1].said or answers[0].status == _DEFECT:
            return Leak(ask, page, answers), page + 1
    # A page more would have had a link that leads to it.
    return None, len(first)


async def _answers(side: Side, pair: Pair, ask: Ask) -> AsyncIterator[Answer]:
    """The pages of an answer."""
    token = side.stage.running.token(**pair.eyes.token)
    if ask.path.startswith("rpc:"):
        yield await _called(side, ask, token)
        return
    path, query = f"{_BASE}/{ask.path}".rstrip("/"), ask.query_string
    method, headers, body = ask.method, (*ask.headers, *token), ask.body.encode()
    for _ in range(MOST_PAGES):
        answer = await send(side, method, path, query, headers, body)
        yield answer
        if not answer.next:
            return
        place, _, query = answer.next.partition("?")
        path, method, headers, body = _BASE + place, "GET", (*_preferring(ask), *token), b""


def _preferring(ask: Ask) -> tuple[tuple[str, str], ...]:
    return tuple(one for one in ask.headers if one[0] == "prefer")


async def send(
    side: Side, method: str, path: str, query: str, headers: tuple[tuple[str, str], ...], body: bytes
) -> Answer:
    """One request to the edge; once more where a service was too slow to answer."""
    for _ in range(3):
        answer = await _sent(side, method, path, query, headers, body)
        if answer.status not in _TRYING_AGAIN:
            break
    return answer


async def _sent(
    side: Side, method: str, path: str, query: str, headers: tuple[tuple[str, str], ...], body: bytes
) -> Answer:
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "scheme": "http", "server": ("edge.test", 80),
        "headers": [(b"host", b"edge.test"), *((name.encode(), value.encode()) for name, value in headers)],
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def keep(message: Any) -> None:
        sent.append(message)

    await side.edge(scope, receive, keep)
    return Answer(
        sent[0]["status"], tuple(sorted(sent[0]["headers"])), b"".join(one.get("body", b"") for one in sent[1:])
    )


async def _called(side: Side, ask: Ask, token: Any) -> Answer:
    try:
        if ask.path == "rpc:records":
            request = service_pb2.CreateResourceRequest(**dict(ask.query), body=ask.body.encode())
            told: Any = json_format.MessageToDict(await side.stage.call(ask.method, request, token))
        else:
            told = await _exported(side, dict(ask.query), token)
    except Refused as error:
        told = [error.code.name, error.reason, error.message, error.fields, error.metadata]
    return Answer(0, (), json.dumps(told).encode())


async def _exported(side: Side, asked: dict[str, str], token: Any) -> Any:
    """Everything that an export gives to who asked for it; how its pages fall only exchange sees."""
    stub = side.stage.running.stub(exports_pb2_grpc.ExportRecordsServiceStub)
    request = exports_pb2.PlanExportRequest(
        level=exports_pb2.ExportLevel.Value(f"EXPORT_LEVEL_{asked['level'].upper()}"),
        group_id=asked.get("group_id", ""),
        types=asked["types"].split(",") if "types" in asked else [],
        type_filters=[asked["type_filters"]] if "type_filters" in asked else [],
        patient_ids=[asked["patient_ids"]] if "patient_ids" in asked else [],
    )
    if "since" in asked:
        request.since.FromJsonString(asked["since"])
    try:
        planned = await stub.PlanExport(request, metadata=token, timeout=TIMEOUT)
        exchange = side.stage.running.token(scopes="records.export", subject="service/exchange")
        at = ASKING - timedelta(hours=1)
        opening = exports_pb2.OpenExportRequest(plan=planned.plan)
        opening.transaction_time.FromDatetime(at)
        opened = await stub.OpenExport(opening, metadata=exchange, timeout=TIMEOUT)
        lines: dict[str, list[str]] = {}
        deleted: list[str] = []
        walks = [{"type": one} for one in opened.types]
        if opened.registration_ids:
            walks.append({"registration_ids": list(opened.registration_ids)})
        for walk in walks:
            reading = exports_pb2.ReadExportRequest(plan=planned.plan, **walk)
            reading.transaction_time.FromDatetime(at)
            while True:
                page = await stub.ReadExport(reading, metadata=exchange, timeout=TIMEOUT)
                for one in page.lines:
                    lines.setdefault(one.type, []).append(one.ndjson.decode())
                deleted += page.deleted
                if not page.next:
                    break
                reading.after = page.next
    except grpc.aio.AioRpcError as error:
        raise refusal(error) from None
    return [{kind: "".join(parts) for kind, parts in lines.items()}, deleted, list(planned.ignored_parameters)]


def asking_of(pair: Pair) -> Asking:
    """Draws what the pair is asked; the same each time."""
    return Asking(random.Random(f"requests/{pair.world.seed}/{pair.eyes.name}"), pair)
