"""Durations of rules, which a test may shorten all alike."""

from dataclasses import dataclass

MINUTE, HOUR, DAY = 60, 3600, 86400
_UNITS = ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (1, "s"))


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast time goes: everything lasts 1/`faster` of what it does in production."""

    faster: int = 1

    def lasting(self, seconds: float, least: float = 0.0) -> str:
        """The duration as PromQL writes it, in its largest whole unit: `5m`. `least` as in `seconds`."""
        milliseconds = round(self.seconds(seconds, least) * 1000)
        if milliseconds % 1000:
            return f"{milliseconds}ms"
        for size, unit in _UNITS:
            if milliseconds // 1000 % size == 0 and milliseconds:
                return f"{milliseconds // 1000 // size}{unit}"
        return "0s"

    def seconds(self, seconds: float, least: float = 0.0) -> float:
        """The duration in seconds; `least` is what the platform takes by its own clock, which no test makes faster."""
        return max(seconds / self.faster, least)


def window_name(seconds: int) -> str:
    """What a window is called in a recorded series, however fast time goes: `5m`."""
    return Pace().lasting(seconds)
