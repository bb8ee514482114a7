"""Faults on purpose, so that alerts, deadlines and retries can be seen to work. For development and tests only.

`NHIP_FAULTS` holds them, or names a file that does (`@/path`), which is read again when it changes:

    records.ReadResource:error=0.5,code=UNAVAILABLE; claims.*:delay=0.3,slow=0.1

error   the share of calls that fail, 0 to 1
code    how they fail: INTERNAL (the default), UNAVAILABLE, DEADLINE_EXCEEDED, PERMISSION_DENIED or RESOURCE_EXHAUSTED
delay   seconds that a call waits first
block   seconds for which the whole process stands still first
slow    the share of calls that `delay` and `block` are for; 1 unless said
"""

import asyncio
import os
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from libs.errors import (
    DeadlineExceededError,
    NhipError,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnavailableError,
)
from libs.runtime.settings import SettingsError

# How often a file is looked at.
LOOK_SECONDS = 0.2
_ERRORS: Mapping[str, type[NhipError]] = {
    "INTERNAL": NhipError,
    "UNAVAILABLE": UnavailableError,
    "DEADLINE_EXCEEDED": DeadlineExceededError,
    "PERMISSION_DENIED": PermissionDeniedError,
    "RESOURCE_EXHAUSTED": ResourceExhaustedError,
}
_SHARES, _SECONDS = ("error", "slow"), ("delay", "block")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is done to the calls of an RPC."""

    error: float = 0.0
    code: str = "INTERNAL"
    delay: float = 0.0
    block: float = 0.0
    slow: float = 1.0

    async def strike(self) -> None:
        """Waits and fails as it is told. Raises the NhipError of its code."""
        chance = random.random  # a share of calls, not a secret
        if (self.delay or self.block) and chance() < self.slow:
            if self.block:
                time.sleep(self.block)  # noqa: ASYNC251 to stand still is what is asked for
            await asyncio.sleep(self.delay)
        if chance() < self.error:
            raise _ERRORS[self.code]("FAULT_INJECTED", "this failure was asked for by NHIP_FAULTS")


def parse(text: str) -> dict[str, Fault]:
    """`service.Method` or `service.*` → its fault. Raises SettingsError, naming what is wrong."""
    found = {}
    for part in filter(None, (each.strip() for each in text.replace("\n", ";").split(";"))):
        name, colon, words = part.partition(":")
        if not (colon and "." in name):
            raise SettingsError(f"NHIP_FAULTS: {part!r} is not service.Method:error=0.5,delay=0.3")
        found[name.strip()] = _fault(words)
    return found


def _fault(words: str) -> Fault:
    said: dict[str, float] = {}
    code = "INTERNAL"
    for word in words.split(","):
        name, _, value = (each.strip() for each in word.partition("="))
        if name == "code" and value in _ERRORS:
            code = value
        elif name in (*_SHARES, *_SECONDS):
            said[name] = _number(name, value)
        else:
            raise SettingsError(f"NHIP_FAULTS: {word.strip()!r} is not understood")
    return Fault(code=code, **said)


def _number(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        raise SettingsError(f"NHIP_FAULTS: {name}={value} is not a number") from None
    if not 0 <= number <= (1 if name in _SHARES else 60):
        raise SettingsError(f"NHIP_FAULTS: {name}={value} is out of range")
    return number


class FaultPlan:
    """The faults of this process, as they are now."""

    def __init__(self, setting: str) -> None:
        """Raises SettingsError."""
        self._path = Path(setting[1:]) if setting.startswith("@") else None
        self._looked_at = time.monotonic()
        self._stamp = 0
        self._faults = parse(setting) if self._path is None else self._read(self._path)

    def of(self, label: str) -> Fault | None:
        """What is done to the calls of `records.ReadResource`."""
        if self._path is not None and time.monotonic() - self._looked_at >= LOOK_SECONDS:
            self._looked_at = time.monotonic()
            self._faults = self._read(self._path)
        return self._faults.get(label) or self._faults.get(f"{label.partition('.')[0]}.*")

    def _read(self, path: Path) -> dict[str, Fault]:
        try:
            stamp = os.stat(path).st_mtime_ns  # noqa: PTH116 one call of the system, and no object
            if stamp == self._stamp:
                return self._faults
            text = path.read_text(encoding="utf-8")
        except OSError:
            # No file is no faults.
            self._stamp = 0
            return {}
        self._stamp = stamp
        return parse(text)
