"""Nouns to protobuf."""

from collections.abc import Sequence

from nhip.exchange.v1 import bulk_imports_pb2, events_pb2, exports_pb2, resources_pb2

from services.exchange.model import Export, ExportFile, FileProgress, Import, Input, RejectedRow, Rejection


def import_to_wire(found: Import, files: Sequence[FileProgress]) -> resources_pb2.Import:
    """An import with its counts."""
    made = resources_pb2.Import(
        import_id=found.import_id,
        organization_id=found.organization_id,
        format=int(found.format),  # type: ignore[arg-type]  # an enum's number
        file_name=found.file_name,
        sha256=found.sha256,
        size_bytes=found.size_bytes,
        state=int(found.state),  # type: ignore[arg-type]  # an enum's number
        files=[_count(file) for file in files],
        rows_total=found.rows_total,
        rows_done=found.rows_done,
        error_reason=found.error_reason,
        error_message=found.error_message,
        attempts=found.attempts,
    )
    made.recorded_at.FromDatetime(found.recorded_at)
    if found.started_at is not None:
        made.started_at.FromDatetime(found.started_at)
    if found.finished_at is not None:
        made.finished_at.FromDatetime(found.finished_at)
    return made


def _count(file: FileProgress) -> resources_pb2.FileCount:
    counts = file.counts
    return resources_pb2.FileCount(
        file=file.file,
        rows=file.rows,
        created=counts.created,
        updated=counts.updated,
        unchanged=counts.unchanged,
        rejected=counts.rejected,
        skipped=counts.skipped,
        note=file.note,
    )


def rejected_to_wire(one: RejectedRow) -> resources_pb2.RejectedRow:
    """A rejected row."""
    rejection = one.rejection
    return resources_pb2.RejectedRow(
        file=one.file,
        line=rejection.line,
        column=rejection.column,
        reason=rejection.reason,
        message=rejection.message,
        row=rejection.row,
    )


def event_of(found: Import) -> events_pb2.ExchangeEvent:
    """What the feed tells of an import."""
    return events_pb2.ExchangeEvent(
        import_id=found.import_id,
        organization_id=found.organization_id,
        state=int(found.state),  # type: ignore[arg-type]  # an enum's number
    )


def export_to_wire(found: Export, files: Sequence[ExportFile], parts: int) -> exports_pb2.Export:
    """An export with its files, and of how many parts its walk is."""
    made = exports_pb2.Export(
        export_id=found.export_id,
        state=int(found.state),  # type: ignore[arg-type]  # an enum's number
        request_url=found.request_url,
        parts_total=parts,
        parts_done=min(found.part, parts),
        resources=found.resources,
        files=[file_to_wire(one) for one in files],
        error_reason=found.error_reason,
        error_message=found.error_message,
        attempts=found.attempts,
    )
    made.transaction_time.FromDatetime(found.transaction_time)
    made.recorded_at.FromDatetime(found.recorded_at)
    if found.finished_at is not None:
        made.finished_at.FromDatetime(found.finished_at)
    if found.expires_at is not None:
        made.expires_at.FromDatetime(found.expires_at)
    return made


def file_to_wire(file: ExportFile) -> exports_pb2.ExportFile:
    """A file that is complete."""
    return exports_pb2.ExportFile(
        number=file.number,
        kind=int(file.kind),  # type: ignore[arg-type]  # an enum's number
        type=file.type,
        count=file.lines,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
    )


def bulk_import_to_wire(
    found: Import, inputs: Sequence[Input], files: Sequence[FileProgress]
) -> bulk_imports_pb2.BulkImport:
    """An import of lines, with what became of each input."""
    by_position = {file.position: file for file in files}
    made = bulk_imports_pb2.BulkImport(
        import_id=found.import_id,
        state=int(found.state),  # type: ignore[arg-type]  # an enum's number
        request_url=found.request_url,
        lines_total=found.rows_total,
        lines_done=found.rows_done,
        results=[_bulk_result(one, by_position.get(one.position)) for one in inputs],
        error_reason=found.error_reason,
        error_message=found.error_message,
        attempts=found.attempts,
        inputs_fetched=sum(one.is_complete for one in inputs),
    )
    made.recorded_at.FromDatetime(found.recorded_at)
    if found.finished_at is not None:
        made.finished_at.FromDatetime(found.finished_at)
    return made


def _bulk_result(one: Input, file: FileProgress | None) -> bulk_imports_pb2.BulkImportResult:
    made = bulk_imports_pb2.BulkImportResult(
        position=one.position,
        input=bulk_imports_pb2.BulkImportInput(type=one.type, url=one.url, etag=one.etag, sha256=one.sha256),
        sha256=one.found_sha256,
        size_bytes=one.size_bytes,
        error_reason=one.error_reason,
        error_message=one.error_message,
    )
    if file is not None:
        counts = file.counts
        made.created, made.updated = counts.created, counts.updated
        made.unchanged, made.rejected = counts.unchanged, counts.rejected
    return made


def bulk_error_to_wire(told: Rejection) -> bulk_imports_pb2.BulkImportError:
    """A line that was not taken."""
    issues = told.issues or [(told.column, "processing", told.message)]
    return bulk_imports_pb2.BulkImportError(
        line=told.line,
        reason=told.reason,
        resource=told.row,
        issues=[
            bulk_imports_pb2.BulkImportIssue(expression=expression, code=code, description=description)
            for expression, code, description in issues
        ],
    )
