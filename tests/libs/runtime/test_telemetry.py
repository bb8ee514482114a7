"""Logs name places, never values."""

import logging

import orjson

from libs.runtime.telemetry import JsonFormatter


def formatted(record: logging.LogRecord) -> dict:
    return orjson.loads(JsonFormatter("records").format(record))


def test_a_log_line_is_json_with_its_service():
    record = logging.LogRecord("libs.feed", logging.WARNING, __file__, 1, "lag of %d s", (3,), None)
    line = formatted(record)
    assert (line["service"], line["level"], line["message"]) == ("records", "WARNING", "lag of 3 s")


def test_the_message_of_an_exception_is_left_out_and_its_place_is_kept():
    try:
        try:
            raise ValueError("Key (citizen_id)=(9000000000001) already exists")
        except ValueError as error:
            raise RuntimeError("of 9000000000001") from error
    except RuntimeError as error:
        record = logging.LogRecord(
            "x", logging.ERROR, __file__, 1, "failed", (), (type(error), error, error.__traceback__)
        )
    line = formatted(record)
    assert "9000000000001" not in orjson.dumps(line).decode()
    assert "RuntimeError" in line["exception"][0]
    assert "ValueError" in line["exception"][1]
    assert "test_telemetry.py" in line["exception"][0]
