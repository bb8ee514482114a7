"""Zips of the 43 files, made to order."""

import io
import zipfile
from collections.abc import Mapping

from libs.f43.schema import FILES
from libs.thai import citizen_id

PERSON = {
    "HOSPCODE": "99001",
    "CID": citizen_id.make("912345678901"),
    "PID": "1",
    "PRENAME": "003",
    "NAME": "สมชาย",
    "LNAME": "ใจดี",
    "SEX": "1",
    "BIRTH": "19700131",
    "NATION": "099",
    "TYPEAREA": "1",
    "D_UPDATE": "20260102030405",
    "HOSPCODE9": "AA0099001",
}


def a_row(file: str = "PERSON", **changes: str) -> list[str]:
    """A row in the order of the specification; a person's is sound unless changed."""
    values = {**(PERSON if file == "PERSON" else {}), **changes}
    return [values.get(name, "") for name in FILES[file].names]


def a_text(rows: list[list[str]], file: str = "PERSON", end: str = "\r\n") -> str:
    """A member: header and rows."""
    return "".join("|".join(row) + end for row in (FILES[file].names, *rows))


def a_zip(members: Mapping[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    """A zip of those members; text becomes UTF-8."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content.encode() if isinstance(content, str) else content)
    buffer.seek(0)
    return buffer
