"""DATA_CORRECT: rows that the facility takes back, named by the key of their file as JSON.

The standard does not say more of the JSON than that it holds the data; what programs write is the key of a row to be
removed, now and then in single quotes.
"""

import ast
import json
from collections.abc import Mapping

from libs.f43.schema import FILES
from services.exchange.mapping.files import removals
from services.exchange.mapping.pieces import Draft, Row, columns, epoch_of

_CORRECTION = columns("DATA_CORRECT", "TABLENAME", "DATA_CORRECT", "D_UPDATE")


class CorrectionError(ValueError):
    """The correction cannot be carried out. `reason` is stable; the message holds no value of the row."""

    def __init__(self, column: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.column = column
        self.reason = reason


def correction(row: Row, organization_id: str) -> list[Draft]:
    """What is removed.

    Raises CorrectionError: FILE_UNKNOWN, CORRECTION_UNSUPPORTED, JSON_FORMAT, KEY_INCOMPLETE, ORGANIZATION_FOREIGN.
    """
    file, told, updated = _CORRECTION(row)
    file = file.upper().removesuffix(".TXT")
    if file not in FILES:
        raise CorrectionError("TABLENAME", "FILE_UNKNOWN", "the standard has no such file")
    keys = _keys(told)
    if keys.get("HOSPCODE", organization_id) != organization_id:
        raise CorrectionError("DATA_CORRECT", "ORGANIZATION_FOREIGN", "the row is another facility's")
    try:
        removed = removals(file, organization_id, keys, epoch_of(updated))
    except KeyError as error:
        raise CorrectionError("DATA_CORRECT", "KEY_INCOMPLETE", f"the key lacks {error.args[0]}") from None
    if removed is None:
        raise CorrectionError("TABLENAME", "CORRECTION_UNSUPPORTED", "rows of this file cannot be taken back by a file")
    return removed


def _keys(told: str) -> Mapping[str, str]:
    try:
        found = json.loads(told)
    except ValueError:
        try:
            # Literals only: nothing is evaluated.
            found = ast.literal_eval(told)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise CorrectionError("DATA_CORRECT", "JSON_FORMAT", "the value is no JSON") from None
    if not isinstance(found, dict):
        raise CorrectionError("DATA_CORRECT", "JSON_FORMAT", "the value is no JSON object")
    return {str(name).upper(): str(value).strip() for name, value in found.items() if value not in (None, "")}
