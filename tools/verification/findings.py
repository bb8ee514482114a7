"""What a comparison comes to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# A connection to each service's database, by the service's name.
Databases = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was compared; `said` names counts, positions and internal ids, and nothing personal."""

    what: str
    said: str
    is_fault: bool = False

    def __str__(self) -> str:
        return f"{'FAULT' if self.is_fault else 'ok   '}  {self.what}: {self.said}"
