"""Putting what was restored in the place of what was there, which is kept."""

from pathlib import Path

from tools.backup.repository import now_stamp
from tools.backup.sealing import sync_folder


def replace(home: Path, staging: Path) -> list[Path]:
    """Moves the cluster and the keys of the home `staging` to `home`; answers where what they replace is kept.

    Cut off in the midst, nothing is lost: the same restore again puts everything in place.
    """
    kept = []
    stamp = now_stamp()
    (home / "secrets").mkdir(mode=0o700, exist_ok=True)
    for fresh in sorted((staging / "secrets").iterdir()):
        held = home / "secrets" / fresh.name
        if held.exists() and held.read_bytes() != fresh.read_bytes():
            # Not what the databases were written with.
            kept.append(held.rename(held.with_name(f"{fresh.name}.replaced-{stamp}")))
        fresh.rename(held)
    data = home / "postgres" / "data"
    data.parent.mkdir(mode=0o700, exist_ok=True)
    if data.exists():
        kept.append(data.rename(data.with_name(f"data.replaced-{stamp}")))
    (staging / "postgres" / "data").rename(data)
    sync_folder(data.parent)
    return kept
