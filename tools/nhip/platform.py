"""The platform on one machine: PostgreSQL, eight services, and a supervisor that keeps them up.

with Platform(Path(".nhip")) as platform:
    httpx.get(f"{platform.edge_url}/healthz")
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psutil

from libs.database.embedded import EmbeddedPostgres
from libs.database.ports import free_port, is_port_free, reserve_port
from libs.runtime.settings import REPLICAS
from tools.backup.configuration import configuration_of
from tools.backup.repository import BackupError
from tools.nhip import databases, health
from tools.nhip.authority import Authority
from tools.nhip.databases import DatabasesError
from tools.nhip.home import Credentials, Home
from tools.nhip.programs import Keeper, Program
from tools.nhip.services import SERVICES, Door, Service, replicated
from tools.nhip.state import PlatformState, ServiceState, StateFile

_HOST = "127.0.0.1"
_HEALTHY_SECONDS = 60.0
_GLANCE_SECONDS = 0.05
_DRAIN_SECONDS = 10.0
_DATABASE_GLANCE_SECONDS = 0.5
# A service that dies this often while starting will not come up by itself.
_HOPELESS = 3

Report = Callable[[str], None]


class PlatformError(Exception):
    """The platform does not come up, or not as asked; the message says why and what helps."""


class AlreadyRunningError(PlatformError):
    """Another supervisor looks after this home."""


class Platform:
    """The platform of one home directory; whoever starts it supervises it until `stop`, or until they die.

    `edge_port` is where the edge listens on 127.0.0.1; None takes a free port. `database_url_template` names an
    external PostgreSQL in place of the embedded one. `secured` has services call each other by certificates of an authority of
    this home. Of each service run as many processes as `replicas` says; the second of `records` is called `records-1`.
    `durable=False` is for tests: a crash of the machine loses the data.
    """

    def __init__(
        self,
        home: Path,
        edge_port: int | None = None,
        *,
        database_url_template: str = "",
        secured: bool = False,
        durable: bool = True,
        replicas: int = 1,
        services: Sequence[Service] = SERVICES,
        report: Report = lambda _: None,
    ) -> None:
        self.home = Home(home.resolve())
        self._edge_port = edge_port
        self._secured = secured
        self._services = replicated(services, replicas)
        self._report = report
        self._state = StateFile(self.home)
        self._keepers: dict[str, Keeper] = {}
        self._lock: IO[bytes] | None = None
        self._stopping = threading.Event()
        self._database_keeper: threading.Thread | None = None
        self._archiver: Keeper | None = None
        self.databases: databases.Server = (
            databases.External(database_url_template)
            if database_url_template
            else databases.Embedded(EmbeddedPostgres(self.home.path, durable=durable))
        )

    @property
    def state(self) -> PlatformState:
        """Addresses and processes, as they are now."""
        return self._state.read()

    @property
    def edge_url(self) -> str:
        """Where the edge listens, such as http://127.0.0.1:8080."""
        return self.state.edge_url

    @property
    def secrets(self) -> Path:
        """The directory of secrets."""
        return self.home.secrets

    @property
    def bootstrap_client(self) -> Credentials:
        """The first administrator."""
        return self.home.bootstrap_client()

    def start(self) -> None:
        """Returns when every service is healthy; on an error everything that was started is stopped again.

        Raises AlreadyRunningError, and PlatformError with the cause.
        """
        try:
            self.home.prepare()
            if self._secured:
                Authority(self.home.certificates, [one.name for one in self._services if not one.replica]).make()
            self._lock = self._state.lock()
        except OSError as error:
            message = f"{self.home.path} cannot be written: {error.strerror}. Set NHIP_HOME to a directory that can."
            raise PlatformError(message) from error
        if self._lock is None:
            message = f"a platform already runs in {self.home.path} (supervisor pid {self.state.supervisor_pid})"
            raise AlreadyRunningError(message)
        try:
            self._start()
        except BaseException as error:
            self.stop()
            if isinstance(error, DatabasesError):
                raise PlatformError(str(error)) from error
            raise

    def stop(self) -> None:
        """Stops the services in order, then PostgreSQL; returns when no process is left. Harmless when not started."""
        if self._lock is None:
            return
        for number in sorted({service.stops for service in self._services}):
            wave = [
                self._keepers[service.name]
                for service in self._services
                if service.stops == number and service.name in self._keepers
            ]
            for keeper in wave:
                keeper.ask_to_stop()
            deadline = time.monotonic() + _DRAIN_SECONDS
            for keeper in wave:
                keeper.wait_until_stopped(deadline)
        self._keepers = {}
        if self._archiver is not None:
            # After the services, so that what they wrote last is archived too.
            self._archiver.ask_to_stop()
            self._archiver.wait_until_stopped(time.monotonic() + _DRAIN_SECONDS)
            self._archiver = None
        self._report("services stopped")
        self._stopping.set()
        if self._database_keeper is not None:
            self._database_keeper.join()
            self._database_keeper = None
        try:
            self.databases.stop()
        finally:
            self._state.change(supervisor_pid=0, is_ready=False)
            self._lock.close()
            self._lock = None

    def kill(self, service: str, how: signal.Signals = signal.SIGKILL) -> int:
        """Sends a service's process a signal, by default the deadly one; answers its pid. It is started again."""
        keeper = self._keepers[service]
        pid = keeper.pid
        if pid is None:
            message = f"{service} is not running"
            raise PlatformError(message)
        keeper.send(how)
        return pid

    def restart(self, service: str) -> None:
        """Lets a service drain, and starts it anew; returns when it is healthy again."""
        before = self._keepers[service].pid
        self._keepers[service].restart()
        self.wait_healthy(service, but_not_pid=before)

    def wait_healthy(
        self, service: str = "", *, but_not_pid: int | None = None, seconds: float = _HEALTHY_SECONDS
    ) -> None:
        """Returns when the service, or every service, is healthy.

        After a kill, `but_not_pid` is the pid that `kill` answered: the old process does not count.
        Raises PlatformError after `seconds`, or when a service keeps dying.
        """
        waiting = [each for each in self._services if service in ("", each.name)]
        deadline = time.monotonic() + seconds
        while waiting:
            waiting = [each for each in waiting if not self._is_healthy(each, but_not_pid)]
            for each in waiting:
                if self._keepers[each.name].quick_deaths >= _HOPELESS:
                    message = f"{each.name} keeps dying:\n{self._keepers[each.name].program.last_words()}"
                    raise PlatformError(message)
            if waiting and time.monotonic() > deadline:
                words = "\n".join(self._keepers[each.name].program.last_words() for each in waiting)
                message = f"not healthy after {seconds:.0f} s: {', '.join(each.name for each in waiting)}\n{words}"
                raise PlatformError(message)
            if waiting:
                time.sleep(_GLANCE_SECONDS)

    def __enter__(self) -> Self:
        """Starts the platform."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops the platform."""
        self.stop()

    def _is_healthy(self, service: Service, but_not_pid: int | None) -> bool:
        pid = self._keepers[service.name].pid
        if pid is None or pid == but_not_pid:
            return False
        here = self.state.services[service.name]
        return health.is_healthy(service.door, here.health_address or here.address)

    def _start(self) -> None:
        end_leftovers(self.state)
        self._state.write(PlatformState(os.getpid(), services=self._addresses()))
        self.databases.start()
        self._stopping.clear()
        self._database_keeper = threading.Thread(target=self._keep_database, name="keeper of PostgreSQL", daemon=True)
        self._database_keeper.start()
        self._report("PostgreSQL accepts connections")
        self._start_archiver()
        behind = databases.prepare(self.databases, [one for one in self._services if not one.replica])
        if behind:
            self._report(f"migrating {', '.join(service.name for service in behind)}")
            databases.migrate([self._program(service, "migrate") for service in behind])
        for service in self._services:
            keeper = Keeper(self._program(service, "serve"), self._state.change_service)
            self._keepers[service.name] = keeper
            keeper.start()
        self._report("services started")
        self.wait_healthy()
        self._state.change(is_ready=True)
        self._report("every service is healthy")

    def _start_archiver(self) -> None:
        try:
            configuration = configuration_of(self.home.path)
        except BackupError as error:
            raise PlatformError(str(error)) from error
        if configuration is None or not isinstance(self.databases, databases.Embedded):
            return
        environment = {
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "NHIP_BACKUP_HOME": str(self.home.path),
            "NHIP_BACKUP_URL": self.databases.postgres.url("postgres"),
        }
        program = Program("archiver", "tools.backup.archiver", "archive", environment, self.home.log("archiver"))
        self._archiver = Keeper(program, lambda *_, **__: None)
        self._archiver.start()
        self._report(f"the log is archived to {configuration.directory}")

    def _keep_database(self) -> None:
        """Starts PostgreSQL again when it was killed; it recovers from its log, and services connect anew."""
        while not self._stopping.wait(_DATABASE_GLANCE_SECONDS):
            if self.databases.is_running():
                continue
            print(f"{time.strftime('%H:%M:%S')} PostgreSQL ended; starting it again", file=sys.stderr, flush=True)
            try:
                self.databases.start()
            except DatabasesError as error:
                print(f"{time.strftime('%H:%M:%S')} {error}", file=sys.stderr, flush=True)

    def _addresses(self) -> dict[str, ServiceState]:
        """The addresses of last time where they are free, new ones where not."""
        known = self.state.services
        taken: set[int] = set()

        def address(before: str) -> str:
            port = int(before.rpartition(":")[2] or 0)
            while not port or port in taken or not reserve_port(port) or not is_port_free(port):
                port = free_port()
            taken.add(port)
            return f"{_HOST}:{port}"

        services = {}
        for service in self._services:
            before = known.get(service.name, ServiceState("", ""))
            if service.door is Door.HTTP and self._edge_port and not service.replica:
                if not is_port_free(self._edge_port):
                    message = (
                        f"port {self._edge_port} of {_HOST} is taken by another program;"
                        " set NHIP_EDGE_PORT to a port that is free"
                    )
                    raise PlatformError(message)
                taken.add(self._edge_port)
                listen = f"{_HOST}:{self._edge_port}"
            else:
                listen = address(before.address)
            asked_in_plain = self._secured and service.door is Door.GRPC
            services[service.name] = ServiceState(
                listen,
                address(before.metrics_address),
                address(before.health_address) if asked_in_plain else "",
            )
        return services

    def _program(self, service: Service, verb: str) -> Program:
        services = self.state.services
        here = services[service.name]
        peers: dict[str, list[str]] = {}
        for each in self._services:
            if each.door is Door.GRPC:
                peers.setdefault(each.service, []).append(services[each.name].address)
        environment = {
            # One arena per core or so: a service's threads are few, and arenas keep what they once held.
            "MALLOC_ARENA_MAX": "2",
            "PYTHONUNBUFFERED": "1",
            "NHIP_LOG_LEVEL": "INFO",
            **os.environ,
            "NHIP_SERVICE": service.service,
            "NHIP_INSTANCE": f"{service.service}-{service.replica}",
            "NHIP_METRICS_LISTEN": here.metrics_address,
            "NHIP_PEERS": ",".join(f"{name}={REPLICAS.join(addresses)}" for name, addresses in peers.items()),
            "NHIP_SECRETS": str(self.home.secrets),
            "NHIP_DEVELOPMENT_LOGIN": "1",
        }
        environment["NHIP_EDGE_LISTEN" if service.door is Door.HTTP else "NHIP_LISTEN"] = here.address
        if self._secured:
            environment["NHIP_TLS"] = str(self.home.certificates / service.service)
            environment["NHIP_HEALTH_LISTEN"] = here.health_address
        if service.has_database:
            environment["NHIP_DATABASE_URL"] = self.databases.url(service.service)
        return Program(service.name, service.module, verb, environment, self.home.log(service.name))


def end_leftovers(state: PlatformState) -> int:
    """Ends services that a dead supervisor left behind, where any still drain; answers how many there were."""
    left = [process for service in state.services.values() if (process := service.process())]
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(left, timeout=_DRAIN_SECONDS)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=_DRAIN_SECONDS)
    return len(left)
