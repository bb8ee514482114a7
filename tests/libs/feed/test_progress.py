"""Who waits for a projection is woken when it stands where they wait for it, and not before."""

import asyncio

import pytest

from libs.feed.log import Cursor
from libs.feed.progress import Progress


async def test_each_is_woken_when_it_has_come_far_enough_for_them():
    progress = Progress()
    near, far, again = (progress.reached(Cursor(number, 0)) for number in (1, 3, 1))
    progress.advance(Cursor(2, 5))
    assert [one.done() for one in (near, far, again)] == [True, False, True]
    progress.advance(Cursor(3, 0))
    assert far.done()
    assert not progress.is_awaited


async def test_who_comes_late_does_not_wait():
    progress = Progress()
    progress.advance(Cursor(7, 1))
    assert progress.reached(Cursor(7, 1)).done()
    assert not progress.reached(Cursor(7, 2)).done()


async def test_it_never_goes_back():
    progress = Progress()
    progress.advance(Cursor(7, 1))
    progress.advance(Cursor(6, 9))
    assert progress.cursor == Cursor(7, 1)


async def test_whoever_gave_up_is_waited_for_by_nobody():
    progress = Progress()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await progress.reached(Cursor(1, 0))
    assert not progress.is_awaited
    kept = progress.reached(Cursor(2, 0))
    assert progress.is_awaited
    progress.advance(Cursor(2, 0))
    await kept
