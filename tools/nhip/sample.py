"""The sample population on a platform: its files in home/sample, enrolled and imported, each step done once."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from pathlib import Path

from rich.console import Console

from libs.clock import BANGKOK
from tools.nhip import importing
from tools.nhip.edge import EdgeClient, EdgeError
from tools.nhip.enrol import client_id, enrol, facilities
from tools.nhip.target import Target
from tools.population import Population


@dataclass(frozen=True)
class Progress:
    """What was asked for, and how far it came; kept in home/sample/progress.json."""

    seed: int
    people: int
    # The day that the files say they were written on: the same seed, size and day give the same bytes.
    today: str
    # format, hcode and path of each file.
    files: tuple[tuple[str, str, str], ...] = ()
    # format, hcode, file, line and reason of each row that was spoiled on purpose.
    spoiled: tuple[tuple[str, str, str, int, str], ...] = ()
    is_enrolled: bool = False
    sent: tuple[str, ...] = ()


class Sample:
    """One sample on one platform. Every method goes on where an earlier call, or run, was cut off."""

    def __init__(self, target: Target, people: int, seed: int, console: Console) -> None:
        self._target = target
        self._console = console
        self._path = target.home.sample / "progress.json"
        self._progress = self._read(people, seed)
        self.population = Population.generate(
            seed=seed, people=people, today=date.fromisoformat(self._progress.today), dirty=True
        )

    @property
    def seed(self) -> int:
        """The seed it was made from."""
        return self._progress.seed

    @property
    def people(self) -> int:
        """How many people it was asked to have."""
        return self._progress.people

    def write(self) -> None:
        """Writes the files."""
        if self._progress.files:
            return
        with self._console.status(f"writing files of {self._progress.people} people"):
            written = self.population.write_all(self._target.home.sample)
        self._note(
            files=tuple((file.format, file.hcode, str(file.path)) for file in written.files),
            spoiled=tuple((row.format, row.hcode, row.file, row.line, row.reason) for row in written.spoiled),
        )
        rate = written.people / written.seconds if written.seconds else 0
        self._console.print(
            f"wrote {len(written.files)} files of {written.people} people, {rate:.0f} people per second"
        )

    def enrol(self) -> None:
        """Makes organisations, practitioners, programs and tariff known. Raises EdgeError."""
        if self._progress.is_enrolled:
            return
        with self._console.status("enrolling organisations and practitioners"):
            enrol(self._target, self.population)
        self._note(is_enrolled=True)

    def file(self, import_format: str, hcode: str) -> Path:
        """The file of a format that a facility sends. Raises KeyError where the sample has none, or none is written."""
        paths = {(kind, code): path for kind, code, path in self._progress.files}
        return Path(paths[import_format, hcode])

    def spoiled(self, import_format: str, hcode: str) -> list[tuple[str, int, str]]:
        """File, line and reason of each row that an import of the facility's file must reject."""
        return [
            (file, line, reason)
            for kind, code, file, line, reason in self._progress.spoiled
            if (kind, code) == (import_format, hcode)
        ]

    def send(self, wanted: Callable[[str, str], bool] = lambda _format, _hcode: True) -> None:
        """Imports the files that are wanted, by format and hcode, and were not sent yet. Raises EdgeError."""
        by_code = {facility.hcode: facility for facility in facilities(self.population)}
        for import_format, hcode, path in self._progress.files:
            if path in self._progress.sent or not wanted(import_format, hcode):
                continue
            credentials = self._target.home.client(client_id(by_code[hcode]))
            with EdgeClient(self._target.edge_url, credentials, purpose="PURPOSE_OF_USE_OPERATIONS") as edge:
                found = importing.send(edge, Path(path), import_format, self._console)
                importing.show(edge, found, self._console)
            if found.get("state") != "IMPORT_STATE_SUCCEEDED":
                message = f"the import of {Path(path).name} did not succeed: {found.get('errorMessage', '')}"
                raise EdgeError(message)
            self._note(sent=(*self._progress.sent, path))

    def _read(self, people: int, seed: int) -> Progress:
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
            files = tuple((str(kind), str(hcode), str(path)) for kind, hcode, path in document.pop("files"))
            spoiled = tuple((*map(str, row[:3]), int(row[3]), str(row[4])) for row in document.pop("spoiled"))
            found = Progress(**{**document, "files": files, "spoiled": spoiled, "sent": tuple(document["sent"])})
        except (OSError, ValueError, TypeError, KeyError):
            found = Progress(0, 0, "")
        if (found.people, found.seed) == (people, seed) and all(Path(path).exists() for *_, path in found.files):
            return found
        return Progress(seed, people, datetime.now(BANGKOK).date().isoformat())

    def _note(self, **changes: bool | Sequence[object]) -> None:
        self._progress = replace(self._progress, **changes)  # type: ignore[arg-type]  # fields of Progress
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self._progress), indent=1), encoding="utf-8")
        fresh.rename(self._path)
