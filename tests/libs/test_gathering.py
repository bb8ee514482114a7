"""Pieces of work gather while earlier work is under way, and never otherwise."""

import asyncio

from libs.gathering import Gathering


class Work:
    """Notes what came together; each ends when it is told to."""

    def __init__(self, **settings) -> None:
        self.done: list[list[int]] = []
        self.ends: list[asyncio.Event] = []
        self.releases = []
        self.gathering = Gathering(self.do, **settings)

    async def do(self, pieces, release):
        self.done.append(pieces)
        self.releases.append(release)
        self.ends.append(end := asyncio.Event())
        await end.wait()

    async def put(self, *pieces):
        for piece in pieces:
            self.gathering.put(piece)
        await self.settled()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        while self.gathering.is_busy:
            for end in self.ends:
                end.set()
            await asyncio.sleep(0)

    async def settled(self):
        for _ in range(5):
            await asyncio.sleep(0)


async def test_what_comes_in_the_same_moment_is_done_together_and_what_is_alone_at_once():
    async with Work(patience=60) as work:
        await work.put(1, 2, 3)
        await work.put(4)
        assert work.done == [[1, 2, 3], [4]]


async def test_while_all_lanes_are_busy_pieces_gather_until_one_ends():
    async with Work(lanes=2, patience=60) as work:
        await work.put(1)
        await work.put(2)
        await work.put(3)
        await work.put(4)
        assert work.done == [[1], [2]]
        work.ends[0].set()
        await work.settled()
        assert work.done == [[1], [2], [3, 4]]


async def test_work_may_let_the_next_begin_before_it_ends_and_frees_its_lane_once():
    async with Work(lanes=1, patience=60) as work:
        await work.put(1)
        await work.put(2)
        work.releases[0]()
        await work.settled()
        assert work.done == [[1], [2]]
        work.ends[0].set()
        await work.put(3)
        assert work.done == [[1], [2]]


async def test_nobody_waits_longer_than_patience_for_what_is_slow():
    async with Work(lanes=1, patience=0.001) as work:
        await work.put(1)
        await work.put(2)
        async with asyncio.timeout(5):
            while len(work.done) < 2:
                await asyncio.sleep(0.001)
        assert work.done == [[1], [2]]


async def test_many_pieces_are_done_in_their_order_by_several_works():
    async with Work(lanes=2, patience=60, most=3) as work:
        await work.put(*range(7))
        assert work.done == [[0, 1, 2], [3, 4, 5]]
        work.ends[0].set()
        await work.settled()
        assert work.done[2:] == [[6]]


async def test_work_that_fails_frees_its_lane():
    failed = []

    async def fail(pieces, release):
        failed.append(pieces)
        raise RuntimeError("a mistake of ours")

    gathering = Gathering(fail, lanes=1, patience=60)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    gathering.put(1)
    await asyncio.sleep(0.01)
    gathering.put(2)
    await asyncio.sleep(0.01)
    assert failed == [[1], [2]]
