"""Plays requests against pairs of stores, and makes what fails small enough to be read, and to be played again."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from tests.noninterference.asking import Ask
from tests.noninterference.comparing import Leak, asking_of, compare
from tests.noninterference.judging import CALLERS, Eyes
from tests.noninterference.stores import Countries, paired, steady

# So often at most stores are made anew, to find out what of them it takes.
MOST_TRIALS = 80
# Requests of one pair of stores; then another caller's follow.
PAIRS_OF_ONE = 400
Moment = tuple[int, Ask]


@dataclass
class Failure(Exception):  # noqa: N818 found, not gone wrong
    """A leak, and what it takes to see it again."""

    seed: int
    eyes: Eyes
    leak: Leak
    # The requests with their seconds, the last being the one that is answered differently.
    asked: tuple[Moment, ...]
    # Numbers and words of the differences between the stores.
    differences: tuple[tuple[int, str], ...]

    def __str__(self) -> str:
        numbers = ",".join(str(number) for number, _ in self.differences)
        requests = " ".join(f"--request {_quoted(f'{moment} {ask}')}" for moment, ask in self.asked)
        return "\n".join(
            (
                f"what {self.eyes.name} may not read changes what they are told, seed {self.seed}:",
                *(f"  the second store differs: {text}" for _, text in self.differences),
                f"  {self.leak}",
                "again:",
                f"  .venv/bin/python -m tests.noninterference --seed {self.seed} --caller {self.eyes.name}"
                f" --differences {numbers} {requests}",
            )
        )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


async def play(countries: Countries, seed: int, eyes: Eyes, pairs: int) -> int:
    """So many request pairs of one caller in the world of a seed, or a few more; how many they were. Raises Failure."""
    done = 0
    with steady() as begin:
        async with paired(countries, seed, eyes) as pair:
            asking = asking_of(pair)
            writings: list[Moment] = []
            moment = 0
            while done < pairs:
                moment, ask = moment + 1, asking.draw()
                leak, pages = await compare(pair, ask, moment, begin)
                done += pages
                if leak is not None:
                    told = tuple((one.number, str(one)) for one in pair.differences)
                    found = Failure(seed, eyes, leak, (*writings, (moment, ask)), told)
                    break
                if ask.method not in {"GET", "HEAD", "export"}:
                    writings.append((moment, ask))
            else:
                return done
    raise await _smaller(countries, found)


async def again(
    countries: Countries, seed: int, eyes: Eyes, asked: Sequence[Moment], kept: Sequence[int] | None
) -> Failure | None:
    """The requests once more, on stores with these differences alone; None if the last is answered alike."""
    with steady() as begin:
        async with paired(countries, seed, eyes, kept=kept) as pair:
            leak = None
            for moment, ask in asked:
                leak, _ = await compare(pair, ask, moment, begin)
            if leak is None:
                return None
            told = tuple((one.number, str(one)) for one in pair.differences)
            return Failure(seed, eyes, leak, tuple(asked), told)


class _Trials:
    """Tries a smaller failure, as long as there are trials left."""

    def __init__(self, countries: Countries, found: Failure) -> None:
        self.found = found
        self._countries = countries
        self._left = MOST_TRIALS

    async def try_with(self, asked: Sequence[Moment], kept: Sequence[int]) -> bool:
        """True if it is still seen; it is the one found then."""
        if not self._left:
            return False
        self._left -= 1
        smaller = await again(self._countries, self.found.seed, self.found.eyes, asked, kept)
        self.found = smaller or self.found
        return smaller is not None

    @property
    def kept(self) -> list[int]:
        return [number for number, _ in self.found.differences]


async def _smaller(countries: Countries, found: Failure) -> Failure:
    """The same with fewer writings before it, fewer differences, and fewer parameters."""
    trials = _Trials(countries, found)
    last = found.asked[-1]
    if not await trials.try_with([last], trials.kept):
        await _fewer(found.asked[:-1], lambda rest: trials.try_with([*rest, last], trials.kept))
    await _fewer(trials.kept, lambda rest: trials.try_with(trials.found.asked, rest))
    for name in last[1].query:
        moment, ask = trials.found.asked[-1]
        shorter = replace(ask, query=tuple(one for one in ask.query if one != name))
        await trials.try_with([*trials.found.asked[:-1], (moment, shorter)], trials.kept)
    return trials.found


async def _fewer(parts: Sequence, holds: Callable) -> None:
    """Leaves out halves, quarters and so on, as long as what is left still holds."""
    rest, size = list(parts), (len(parts) + 1) // 2
    while size:
        for start in range(0, len(rest), size):
            shorter = rest[:start] + rest[start + size :]
            if len(shorter) < len(rest) and await holds(shorter):
                rest = shorter
                break
        else:
            size //= 2


def episodes(first_seed: int, step: int) -> Iterator[tuple[int, Eyes]]:
    """Worlds and callers, without end: every second seed of two processes, and all callers in each."""
    seed = first_seed
    while True:
        for eyes in CALLERS:
            yield seed, eyes
        seed += step


async def play_many(
    countries: Countries, pairs: int, first_seed: int, step: int, told: Callable[[int, int, str], None]
) -> int:
    """So many request pairs over worlds and callers; `told` hears how it goes. Raises Failure."""
    done = 0
    for seed, eyes in episodes(first_seed, step):
        done += await play(countries, seed, eyes, min(PAIRS_OF_ONE, pairs - done))
        told(done, seed, eyes.name)
        if eyes is CALLERS[-1]:
            countries.forget(seed)
        if done >= pairs:
            break
    return done
