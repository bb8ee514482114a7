"""What Prometheus measured of what is promised: the series that the platform's recording rules keep.

The edge itself remembers nothing of the past, and there are several of it. Where no Prometheus is named, nothing is measured, and
that is what is said.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

log = logging.getLogger(__name__)

WINDOWS: Final = ("1h", "1d", "30d")
_BAD: Final = {f"nhip:slo_bad:ratio{window}": window for window in WINDOWS}
_ALLOWED: Final = "nhip:slo_allowed:ratio"
_LEFT: Final = "nhip:slo_budget_left:ratio30d"
# One question for all; what is promised carries no namespace, the rest does.
QUERY: Final = "{{__name__=~'{}'}}".format("|".join((*_BAD, _ALLOWED, _LEFT)))
# However many look at the page, Prometheus is asked at most once in this time.
KEEP_SECONDS: Final = 15.0
ANSWER_SECONDS: Final = 3.0


@dataclass(slots=True)
class Promise:
    """One objective of one service, and how it was kept. Shares are of calls, between 0 and 1."""

    service: str
    slo: str
    slo_class: str
    # The share that may be bad.
    allowed: float = 0.0
    # Window → the share that was bad; without the windows in which nothing was called.
    bad: dict[str, float] = field(default_factory=dict)
    # Of what may be bad in 30 days, the share that is left; below zero the promise is broken.
    left: float | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known. With `silence` nothing is, and it says why."""

    promises: tuple[Promise, ...] = ()
    silence: str = ""


NOT_CONNECTED: Final = Measured(silence="not connected")
NO_ANSWER: Final = Measured(silence="no answer")


class Prometheus:
    """A Prometheus that scrapes the platform and evaluates its rules."""

    def __init__(self, url: str, namespace: str = "", patience_seconds: float = ANSWER_SECONDS) -> None:
        """`namespace` chooses one platform of several that it watches. Raises ValueError for what is no address."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url!r} is no http:// or https:// address")
        self._url = f"{url.rstrip('/')}/api/v1/query"
        self._namespace = namespace
        self._patience_seconds = patience_seconds
        self._client = httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=patience_seconds)
        self._asked_at = -KEEP_SECONDS
        self._known = NO_ANSWER
        self._asking = asyncio.Lock()

    async def measured(self) -> Measured:
        """What it says, no older than KEEP_SECONDS."""
        async with self._asking:
            if time.monotonic() - self._asked_at >= KEEP_SECONDS:
                self._known = await self._ask()
                self._asked_at = time.monotonic()
        return self._known

    async def close(self) -> None:
        """Closes the connection."""
        await self._client.aclose()

    async def _ask(self) -> Measured:
        try:
            async with asyncio.timeout(self._patience_seconds):
                answer = await self._client.get(self._url, params={"query": QUERY})
            answer.raise_for_status()
            return Measured(promises_of(answer.json()["data"]["result"], self._namespace))
        except (httpx.HTTPError, TimeoutError, ValueError, KeyError, TypeError) as error:
            log.warning("Prometheus does not say how the platform does: %s", type(error).__name__)
            return NO_ANSWER


def promises_of(series: Iterable[Mapping[str, Any]], namespace: str = "") -> tuple[Promise, ...]:
    """The promises that an instant vector tells of. Raises ValueError, KeyError, TypeError for what is none.

    What is told twice counts as the worse.
    """
    allowed: dict[tuple[str, str], float] = {}
    found: dict[tuple[str, str, str], Promise] = {}
    for one in series:
        labels, value = one["metric"], float(one["value"][1])
        name, slo, slo_class = labels["__name__"], labels["slo"], labels["slo_class"]
        if name == _ALLOWED:
            allowed[slo, slo_class] = value
            continue
        # NaN is the ratio of nothing to nothing.
        if (namespace and labels.get("namespace") != namespace) or value != value:  # noqa: PLR0124
            continue
        key = labels["job"], slo, slo_class
        promise = found.setdefault(key, Promise(*key))
        if name == _LEFT:
            promise.left = value if promise.left is None else min(promise.left, value)
        else:
            window = _BAD[name]
            promise.bad[window] = max(value, promise.bad.get(window, 0.0))
    for promise in found.values():
        promise.allowed = allowed[promise.slo, promise.slo_class]
    return tuple(found[key] for key in sorted(found))
