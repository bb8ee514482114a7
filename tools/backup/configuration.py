"""What a home is backed up to: `backup.json` beside its data."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.backup.repository import BackupError
from tools.backup.sealing import KeyFileError, recipient_of

DEFAULT_EVERY_HOURS = 24.0
DEFAULT_KEEP = 7


@dataclass(frozen=True, slots=True)
class Configuration:
    """Where to, for whose private key, how often a base backup is made, and how many are kept."""

    directory: str
    recipient: str
    every_hours: float = DEFAULT_EVERY_HOURS
    keep: int = DEFAULT_KEEP


def path_of(home: Path) -> Path:
    """The file of a home."""
    return home / "backup.json"


def configuration_of(home: Path) -> Configuration | None:
    """The home's, or None where it is not backed up. Raises BackupError for a file that cannot be used."""
    path = path_of(home)
    try:
        found = Configuration(**json.loads(path.read_text(encoding="utf-8")))
        recipient_of(found.recipient)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyFileError) as error:
        raise BackupError(f"{path} cannot be used: {error}") from error
    return found


def configure(home: Path, configuration: Configuration) -> None:
    """Replaces the file in one step."""
    home.mkdir(parents=True, exist_ok=True)
    fresh = path_of(home).with_suffix(".new")
    fresh.write_text(json.dumps(asdict(configuration), indent=1) + "\n", encoding="utf-8")
    fresh.rename(path_of(home))
