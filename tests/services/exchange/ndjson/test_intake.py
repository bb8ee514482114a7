"""Bytes as they come, plain or gzip, become chunks that lines are found in again; memory stays bounded."""

import gzip
import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.exchange.formats.ndjson import intake as intake_module
from services.exchange.formats.ndjson import lines as lines_module
from services.exchange.formats.ndjson.intake import CHUNK_BYTES, Intake, IntakeError
from services.exchange.formats.ndjson.lines import Line, lines_of, read_at


def taken_in(*pieces: bytes) -> tuple[Intake, list[bytes]]:
    intake = Intake()
    chunks = [chunk for piece in pieces for chunk in intake.feed(piece)]
    return intake, [*chunks, *intake.end()]


async def read_back(chunks: list[bytes], number: int = 1, offset: int = 0) -> list[Line]:
    async def read(chunk: int) -> bytes | None:
        return chunks[chunk] if chunk < len(chunks) else None

    found = [line async for line in lines_of(read, number, offset)]
    for line in found:
        if line.data is not None:
            assert await read_at(read, line.start, line.length) == line.data
    return found


@given(
    lines=st.lists(st.binary(max_size=40).map(lambda one: one.replace(b"\n", b"").strip()), max_size=30),
    cut=st.integers(1, 50),
    chunk=st.integers(1, 64),
    is_gzip=st.booleans(),
    is_ended=st.booleans(),
)
async def test_every_line_is_found_with_its_number_however_the_bytes_come(
    lines: list[bytes], cut: int, chunk: int, *, is_gzip: bool, is_ended: bool
) -> None:
    # What begins like gzip is gzip.
    lines = [b"{" + one for one in lines]
    data = b"\n".join(lines) + (b"\n" if is_ended and lines else b"")
    sent = gzip.compress(data) if is_gzip else data
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intake_module, "CHUNK_BYTES", chunk)
        patch.setattr(lines_module, "CHUNK_BYTES", chunk)
        intake, chunks = taken_in(*(sent[at : at + cut] for at in range(0, len(sent), cut)))
        found = await read_back(chunks)
        assert [(line.number, line.data) for line in found] == list(enumerate(lines, 1))
        assert (intake.lines, intake.size_bytes) == (len(lines), len(data))
        assert intake.sha256 == hashlib.sha256(sent).hexdigest()
        for line in found:
            later = await read_back(chunks, line.number + 1, line.end) if line.end <= len(data) else []
            assert later == found[line.number :]


async def test_blank_lines_are_no_lines_and_are_counted_and_marks_are_dropped() -> None:
    _, chunks = taken_in(b'\xef\xbb\xbf{"a":1}\r\n\r\n  \n{"b":2}')
    assert [(line.number, line.data) for line in await read_back(chunks)] == [(1, b'{"a":1}'), (4, b'{"b":2}')]


async def test_a_line_of_ten_megabytes_is_a_line_and_one_beyond_any_resource_is_told_of_and_passed() -> None:
    large, endless = b"x" * 10_000_000, b"y" * (lines_module.MAX_LINE_BYTES + 1)
    _, chunks = taken_in(large + b"\n" + endless + b"\n{}\n")
    first, second, third = await read_back(chunks)
    assert (first.data, second.data, third.data) == (large, None, b"{}")
    assert [line.number for line in (first, second, third)] == [1, 2, 3]


def test_several_gzip_streams_are_one_and_a_bomb_is_taken_in_by_pieces() -> None:
    intake, chunks = taken_in(gzip.compress(b"{}\n") + gzip.compress(b" " * (40 * CHUNK_BYTES)))
    assert (len(chunks), intake.lines) == (41, 2)


WHOLE = gzip.compress(b"{}" * 1000, mtime=0)


@pytest.mark.parametrize(
    "data",
    [WHOLE[:-9], WHOLE[:-4] + b"abcd", b"\x1f\x8b\x08\x00nonsense....."],
    ids=["cut off", "of another length", "nonsense"],
)
def test_gzip_that_is_damaged_or_cut_off_is_refused(data: bytes) -> None:
    with pytest.raises(IntakeError) as caught:
        taken_in(data)
    assert caught.value.reason == "GZIP_INVALID"


def test_what_is_too_large_is_refused_while_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "MAX_INPUT_BYTES", 3 * CHUNK_BYTES)
    with pytest.raises(IntakeError) as caught:
        taken_in(gzip.compress(b" " * (4 * CHUNK_BYTES)))
    assert caught.value.reason == "FILE_TOO_LARGE"


def test_chunks_are_deflate_of_a_mebibyte_each() -> None:
    _, chunks = taken_in(b"a" * (2 * CHUNK_BYTES + 5))
    assert [len(zlib.decompressobj(-15).decompress(one)) for one in chunks] == [CHUNK_BYTES, CHUNK_BYTES, 5]
