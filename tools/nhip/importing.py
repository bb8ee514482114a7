"""Sending one file in and following what becomes of it, with progress bars and counts."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tools.nhip.edge import EdgeClient, Json

FORMATS = {"f43": "IMPORT_FORMAT_F43", "f16": "IMPORT_FORMAT_F16", "fhir": "IMPORT_FORMAT_FHIR"}
_COUNTS = ("rows", "created", "updated", "unchanged", "rejected", "skipped")
_SHOWN_REJECTED = 50


def send(edge: EdgeClient, file: Path, import_format: str, console: Console) -> Json:
    """Uploads the file and returns its import when that is finished. Raises EdgeError."""
    with _progress(console, DownloadColumn()) as progress:
        sending = progress.add_task(f"sending {file.name}", total=file.stat().st_size)
        stored = edge.upload(file, FORMATS[import_format], lambda size: progress.advance(sending, size))
    with _progress(console, MofNCompleteColumn()) as progress:
        importing = progress.add_task(f"importing {file.name}", total=None)
        for found in edge.follow(stored["importId"]):
            total = count(found, "rowsTotal")
            progress.update(importing, total=total or None, completed=count(found, "rowsDone"))
    # The last state seen, which is the finished one.
    return found


def count(document: Json, name: str) -> int:
    """A 64-bit number of proto JSON, which is written as text and left out when zero."""
    return int(document.get(name, 0))


def rejected(found: Json) -> int:
    """How many rows of an import were rejected."""
    return sum(count(file, "rejected") for file in found.get("files", ()))


def show(edge: EdgeClient, found: Json, console: Console) -> None:
    """Prints the counts per file and the first rejected rows, with line and reason."""
    table = Table("file", *_COUNTS, "note", title=f"import {found['importId']}: {_state(found)}")
    for file in found.get("files", ()):
        table.add_row(file.get("file", ""), *(str(count(file, name)) for name in _COUNTS), file.get("note", ""))
    console.print(table)
    total = rejected(found)
    if not total:
        return
    for number, row in enumerate(edge.rejected_rows(found["importId"])):
        if number == _SHOWN_REJECTED:
            console.print(f"… and {total - number} more: GET /v1/imports/{found['importId']}/rejected-rows")
            break
        console.print(_rejected_line(row), highlight=False, soft_wrap=True)


def _rejected_line(row: Json) -> str:
    place = f"{row.get('file', '')}:{count(row, 'line')}"
    column = f" {row['column']}" if row.get("column") else ""
    return f"[red]{escape(place + column)}[/red] {escape(row.get('reason', ''))}: {escape(row.get('message', ''))}"


def _state(found: Json) -> str:
    return str(found.get("state", "")).removeprefix("IMPORT_STATE_").lower()


def _progress(console: Console, *columns: Any) -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), *columns, TimeElapsedColumn(), console=console)
