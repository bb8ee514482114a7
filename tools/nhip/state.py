"""What is true of a platform, in run/platform.json: addresses, which stay from start to start, and processes.

The supervisor writes it, whole, at each change; everybody may read it.
"""

import fcntl
import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import IO, Any

import psutil

from tools.nhip.home import Home


@dataclass(frozen=True)
class ServiceState:
    """One service: where it listens, and its process while there is one."""

    # host:port; of gRPC, or of HTTP for the edge.
    address: str
    metrics_address: str
    # Where it tells its health in plain, when the door above asks for certificates.
    health_address: str = ""
    # `stopped`, `running`, or `waiting` (it died, and its restart is due).
    state: str = "stopped"
    pid: int = 0
    # With the pid, this names a process for good: pids are used again. Seconds since the epoch.
    started_at: float = 0.0
    # How often it was restarted since the platform started.
    restarts: int = 0

    def process(self) -> psutil.Process | None:
        """The process, if it still lives."""
        try:
            process = psutil.Process(self.pid) if self.pid else None
            if process is None or process.create_time() != self.started_at or process.status() == psutil.STATUS_ZOMBIE:
                return None
        except psutil.NoSuchProcess:
            return None
        return process


@dataclass(frozen=True)
class PlatformState:
    """The whole platform. `is_ready` once every service was healthy after a start."""

    supervisor_pid: int = 0
    is_ready: bool = False
    services: Mapping[str, ServiceState] = field(default_factory=dict)

    @property
    def edge_url(self) -> str:
        """Where the edge listens; empty before the first start."""
        return f"http://{self.services['edge'].address}" if "edge" in self.services else ""


class StateFile:
    """run/platform.json of a home."""

    def __init__(self, home: Home) -> None:
        self._path = home.run / "platform.json"
        self._lock_path = home.run / "lock"
        self._guard = threading.Lock()

    def read(self) -> PlatformState:
        """What was last written; an empty state where nothing was, or what is there cannot be understood."""
        try:
            document: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
            services = {name: ServiceState(**service) for name, service in document.pop("services").items()}
            return PlatformState(**document, services=services)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return PlatformState()

    def write(self, state: PlatformState) -> None:
        """Replaces the file in one step."""
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(state), indent=1), encoding="utf-8")
        fresh.rename(self._path)

    def change_service(self, name: str, **changes: Any) -> None:
        """Changes one service's fields."""
        with self._guard:
            state = self.read()
            self.write(replace(state, services={**state.services, name: replace(state.services[name], **changes)}))

    def change(self, **changes: Any) -> None:
        """Changes fields of the whole."""
        with self._guard:
            self.write(replace(self.read(), **changes))

    def lock(self) -> IO[bytes] | None:
        """Becomes the one supervisor of this home, until the answered file is closed; None if there is one already."""
        lock = self._lock_path.open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return None
        return lock

    def is_supervised(self) -> bool:
        """Whether a supervisor of this home lives."""
        if not self._lock_path.exists():
            return False
        lock = self.lock()
        if lock is None:
            return True
        lock.close()
        return False
