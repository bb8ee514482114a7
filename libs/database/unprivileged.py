"""Running PostgreSQL's programs when we are root, which PostgreSQL refuses to be.

An ordinary account runs them as itself. Root has two ways, tried in this order:

1. as an account that exists for such things (`postgres`, else `nobody`), where that account can reach both the
   programs and the data;
2. in a user namespace of its own (Linux), where our uid 0 appears as that account: the programs see an ordinary
   uid, and the files stay root's, so that a clone under /root with mode 700 works as well.

No permission of a directory that we did not create is changed for it.
"""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_ACCOUNTS = ("postgres", "nobody")
_ENTER_NAMESPACE = Path(__file__).with_name("namespace.py")


class NoAccountError(Exception):
    """Root found no way to run PostgreSQL; the message says what to do about it."""


@dataclass(frozen=True)
class RunAs:
    """How a program is started: as which account, and which uid and gid own the files it needs.

    `account` is None where the program runs as whoever we are. `prefix` is put before the command.
    """

    owner: tuple[int, int]
    account: tuple[int, int] | None = None
    prefix: tuple[str, ...] = ()

    def spawn(
        self, command: Sequence[str], environment: Mapping[str, str], output: IO[bytes] | int
    ) -> subprocess.Popen[bytes]:
        """Starts the command in a session of its own, away from the terminal's signals, with no input."""
        return subprocess.Popen(  # noqa: S603 the commands are PostgreSQL's own programs with our arguments
            [*self.prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=dict(environment),
            start_new_session=True,
            user=self.account[0] if self.account else None,
            group=self.account[1] if self.account else None,
            extra_groups=[] if self.account else None,
        )

    def own(self, path: Path) -> None:
        """Gives the tree at `path`, which is ours, to the account that will use it."""
        if os.geteuid() != 0 or (path.stat().st_uid, path.stat().st_gid) == self.owner:
            return
        for folder, _, files in os.walk(path, topdown=False):
            for name in files:
                os.chown(Path(folder, name), *self.owner, follow_symlinks=False)
            os.chown(folder, *self.owner)


def run_as(programs: Path, home: Path) -> RunAs:
    """The way to run `programs`/postgres on data below `home`; raises NoAccountError where there is none."""
    if os.geteuid() != 0:
        return RunAs(owner=(os.geteuid(), os.getegid()))
    account = _account()
    for way in (RunAs(owner=account, account=account), _in_namespace(account)):
        if way is not None and _can_run(way, programs, home):
            return way
    message = (
        f"PostgreSQL does not run as root. The account with uid {account[0]} cannot reach {programs} and {home}, and"
        " user namespaces are not permitted here. Set NHIP_HOME to a directory (and keep the clone in one) that every"
        " account may pass through, or run this command as an ordinary account."
    )
    raise NoAccountError(message)


def _account() -> tuple[int, int]:
    for name in _ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid > 0:
            return entry.pw_uid, entry.pw_gid
    # The overflow uid stands for nobody on every Unix, named or not.
    return 65534, 65534


def _in_namespace(account: tuple[int, int]) -> RunAs | None:
    if sys.platform != "linux":
        return None
    # -I and -S: nothing of the surroundings is imported, so the launcher starts in milliseconds.
    prefix = (sys.executable, "-I", "-S", str(_ENTER_NAMESPACE), str(account[0]), str(account[1]))
    return RunAs(owner=(0, 0), prefix=prefix)


def _can_run(way: RunAs, programs: Path, home: Path) -> bool:
    """Whether postgres starts this way, and the directory of the data can be passed through: by doing both."""
    shell = shutil.which("sh") or "/bin/sh"
    trial = (shell, "-c", 'test -x "$2" && exec "$1" --version', "sh", str(programs / "postgres"), str(home))
    try:
        return way.spawn(trial, {"LC_ALL": "C"}, subprocess.DEVNULL).wait() == 0
    except (OSError, subprocess.SubprocessError):
        return False
