"""Rows of the database as nouns."""

from collections.abc import Mapping
from typing import Any

from services.exchange.model import Counts, FileProgress, Format, Import, KnownPerson, Outcome, State


def import_of(row: Mapping[str, Any]) -> Import:
    """A row of `imports`."""
    return Import(
        import_id=row["import_id"],
        organization_id=row["organization_id"],
        format=Format(row["format"]),
        file_name=row["file_name"],
        sha256=row["sha256"],
        size_bytes=row["size_bytes"],
        state=State(row["state"]),
        upload_id=row["upload_id"],
        run=row["run"],
        rows_total=row["rows_total"],
        rows_done=row["rows_done"],
        cursor=row["cursor"],
        error_reason=row["error_reason"],
        error_message=row["error_message"],
        attempts=row["attempts"],
        recorded_at=row["recorded_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        subject=row["subject"],
        request_url=row["request_url"],
        input_source=row["input_source"],
        grants=row["grants"],
    )


def progress_of(row: Mapping[str, Any]) -> FileProgress:
    """A row of `import_files`."""
    counts = Counts(row["created"], row["updated"], row["unchanged"], row["rejected"], row["skipped"])
    return FileProgress(
        row["position"],
        row["file"],
        row["rows"],
        counts,
        row["note"],
        row["after_line"],
        row["is_done"],
        row["after_offset"],
    )


def person_of(row: Mapping[str, Any]) -> KnownPerson:
    """A row of `persons`."""
    return KnownPerson(
        row["pid"],
        row["registration_id"],
        row["local_number"],
        row["hn"],
        row["registration"],
        row["import_id"],
        Outcome(row["outcome"]),
    )
