"""`nhip backup`, `nhip restore`, `nhip verify`: losing nothing, and knowing it."""

import asyncio
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import click
from rich.markup import escape
from rich.table import Table

from libs.database.embedded import EmbeddedPostgres, EmbeddedPostgresError
from tools.backup.configuration import (
    DEFAULT_EVERY_HOURS,
    DEFAULT_KEEP,
    Configuration,
    configuration_of,
    configure,
)
from tools.backup.replacing import replace
from tools.backup.repository import BackupError, Repository
from tools.backup.restoring import Restored
from tools.backup.restoring import restore as bring_back
from tools.backup.sealing import KeyFileError, identity_in, new_identity, recipient_of
from tools.backup.taking import keep_secrets, take_base
from tools.nhip.codes import Code
from tools.nhip.context import Context, pass_context
from tools.nhip.databases import External
from tools.nhip.home import Home
from tools.nhip.state import StateFile
from tools.verification import Finding
from tools.verification import verify as compare

_NEWEST = "newest"


@click.group(short_help="Back up the platform's databases.", invoke_without_command=True)
@click.pass_context
def backup(context: click.Context) -> None:
    """Without a subcommand: makes a base backup now, of the running platform, without holding anything up.

    `nhip backup init` says once where to; from the next start on the platform archives its log there, so that it can be
    restored to any moment, and makes a base backup by itself whenever the newest has grown old.

    \b
    Examples:
      nhip backup init --to /srv/nhip-backups --new-key ~/nhip-backup.key
      nhip backup
      nhip backup list
    """  # noqa: D301 click's mark of a paragraph that keeps its lines
    if context.invoked_subcommand is not None:
        return
    ours: Context = context.obj
    configuration = _configuration(ours)
    postgres = EmbeddedPostgres(ours.home)
    if ours.database_url_template or not postgres.is_running():
        ours.fail(f"the PostgreSQL of {ours.home} does not run: start it with `nhip up`", Code.NOT_RUNNING)
    repository = Repository(Path(configuration.directory))
    began = time.monotonic()
    try:
        recipient = recipient_of(configuration.recipient)
        base = asyncio.run(take_base(postgres.url("postgres"), repository, recipient))
        keep_secrets(Home(ours.home).secrets, repository, recipient)
        removed = repository.prune(configuration.keep)
    except (BackupError, OSError, asyncpg.PostgresError) as error:
        ours.fail(str(error))
    took = time.monotonic() - began
    ours.console.print(f"{base.stamp}: {base.bytes / 1e6:.1f} MB in {took:.1f} s, {len(removed)} old files removed")


@backup.command(short_help="Say where backups go.")
@click.option("--to", "directory", required=True, type=click.Path(file_okay=False, path_type=Path), help="A directory.")
@click.option("--recipient", default="", help="The public key of age (age1…) that backups are encrypted to.")
@click.option(
    "--new-key",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Makes a key pair, and writes the private key here: keep it elsewhere.",
)
@click.option("--every-hours", default=DEFAULT_EVERY_HOURS, show_default=True, type=click.FloatRange(min=0.01))
@click.option("--keep", default=DEFAULT_KEEP, show_default=True, type=click.IntRange(1), help="Base backups to keep.")
@pass_context
def init(
    context: Context, directory: Path, recipient: str, new_key: Path | None, every_hours: float, keep: int
) -> None:
    """Says where backups go and for whose key; the next start of the platform begins to archive.

    \b
    Examples:
      nhip backup init --to /srv/nhip-backups --recipient age1…
      nhip backup init --to /srv/nhip-backups --new-key ~/nhip-backup.key --every-hours 6 --keep 28
    """  # noqa: D301 click's mark of a paragraph that keeps its lines
    if bool(recipient) == (new_key is not None):
        raise click.UsageError("one of --recipient and --new-key is needed")
    try:
        Repository(directory.resolve()).prepare()
        key = recipient_of(recipient) if new_key is None else new_identity(new_key)
        configure(context.home, Configuration(str(directory.resolve()), str(key), every_hours, keep))
    except (BackupError, KeyFileError, OSError) as error:
        context.fail(str(error))
    if new_key is not None:
        context.console.print(
            f"the private key is in {new_key}: without it no backup can be opened; keep it elsewhere", soft_wrap=True
        )
    context.console.print(f"backups go to {directory.resolve()}, for {key}", soft_wrap=True)
    if context.is_running():
        context.console.print("the running platform archives from its next start on: `nhip down && nhip up`")


@backup.command("list", short_help="What there is to restore.")
@pass_context
def list_(context: Context) -> None:
    """Base backups, and up to when the log is there.

    \b
    Example:
      nhip backup list
    """  # noqa: D301 click's mark of a paragraph that keeps its lines
    repository = Repository(Path(_configuration(context).directory))
    try:
        bases, coverage = repository.bases(), repository.coverage()
    except BackupError as error:
        context.fail(str(error))
    table = Table("base backup", "restorable from", "MB", "timeline")
    for base in bases:
        table.add_row(base.stamp, base.ended_at, f"{base.bytes / 1e6:.1f}", str(base.timeline))
    context.console.print(table)
    if coverage is None:
        context.console.print("no log was archived: only the moments of the base backups themselves")
        return
    age = (datetime.now(UTC) - coverage.moment).total_seconds()
    context.console.print(f"the log is there up to {coverage.at}, {age:.0f} s ago")


class _Moment(click.ParamType[datetime | None]):
    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime | None:
        """A time with its zone, or None for `newest`."""
        if value is None or value == _NEWEST:
            return None
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no time such as 2026-01-31T08:30:00+07:00", param, ctx)
        if moment.tzinfo is None:
            self.fail(f"{value!r} names no zone: add +07:00, or Z", param, ctx)
        return moment


@click.command(short_help="Bring the databases back to a moment.")
@click.option("--to", default=_NEWEST, show_default=True, type=_Moment(), help="The moment, with its zone.")
@click.option(
    "--key", "key_file", required=True, type=click.Path(dir_okay=False, path_type=Path), help="File of the private key."
)
@click.option("--from", "directory", type=click.Path(file_okay=False, path_type=Path), help="If not as configured.")
@click.option("--drill", is_flag=True, help="Only try it, beside the running platform, and say how long it took.")
@click.option("--despite-faults", is_flag=True, help="Put it in place even if the databases do not agree.")
@pass_context
def restore(
    context: Context,
    to: datetime | None,
    key_file: Path,
    directory: Path | None,
    drill: bool,  # noqa: FBT001 an option of click
    despite_faults: bool,  # noqa: FBT001 an option of click
) -> None:
    """Restores every database to one moment, compares them, and puts them in place of what is there, which is kept.

    The platform must be down. With --drill nothing is put in place, so that it may run: practise with it, on schedule.

    \b
    Examples:
      nhip restore --drill --key ~/nhip-backup.key
      nhip restore --to 2026-01-31T08:30:00+07:00 --key ~/nhip-backup.key
    """  # noqa: D301 click's mark of a paragraph that keeps its lines
    source = directory or Path(_configuration(context).directory)
    home = Home(context.home.resolve())
    home.path.mkdir(parents=True, exist_ok=True)
    home.run.mkdir(exist_ok=True)
    lock = None if drill else StateFile(home).lock()
    if not drill and lock is None:
        context.fail(f"a platform runs in {context.home}: stop it with `nhip down` first", Code.ALREADY_RUNNING)
    try:
        _restore(context, source, key_file, to, is_drill=drill, despite_faults=despite_faults)
    except (BackupError, KeyFileError, EmbeddedPostgresError, OSError) as error:
        context.fail(str(error))
    finally:
        if lock is not None:
            lock.close()


def _restore(
    context: Context, source: Path, key_file: Path, to: datetime | None, *, is_drill: bool, despite_faults: bool
) -> None:
    # Beside the data, so that putting it in place is a renaming.
    home = context.home.resolve()
    with tempfile.TemporaryDirectory(prefix="restoring-", dir=home) as folder:
        # The account that runs PostgreSQL in root's stead passes through.
        Path(folder).chmod(0o711)
        staging = Path(folder, "home")
        staging.mkdir(mode=0o711)
        restored: Restored | None = None
        try:
            restored = bring_back(Repository(source), identity_in(key_file), staging, to, _reporter(context))
            found = _compare(lambda service: EmbeddedPostgres(staging).url(f"nhip_{service}"))
        finally:
            EmbeddedPostgres(staging).stop()
        is_sound = _print(context, found)
        context.console.print(f"restored to {restored.reached.isoformat()} in {restored.seconds:.1f} s", soft_wrap=True)
        if is_drill:
            size = sum(path.stat().st_size for path in staging.rglob("*") if path.is_file())
            context.console.print(f"drill: {size / 1e6:.0f} MB brought back and removed again; nothing was changed")
        elif is_sound or despite_faults:
            kept = replace(home, staging)
            context.console.print(_placed(kept), soft_wrap=True)
        if not is_sound:
            raise click.exceptions.Exit(Code.FAILED)


@click.command(short_help="Compare the services' databases.")
@click.option("--patience", default=30.0, show_default=True, help="Seconds that services get to agree.")
@pass_context
def verify(context: Context, patience: float) -> None:
    """Compares what followers hold with what their sources say, and the audit log with its signatures.

    Works on the databases, whether services run or not; exits with 1 when anything does not agree.

    \b
    Example:
      nhip verify
    """  # noqa: D301 click's mark of a paragraph that keeps its lines
    template = context.database_url_template
    postgres = EmbeddedPostgres(context.home)
    if not template and not postgres.is_running():
        context.fail(f"the PostgreSQL of {context.home} does not run: start it with `nhip up`", Code.NOT_RUNNING)
    url = External(template).url if template else lambda service: postgres.url(f"nhip_{service}")
    try:
        found = _compare(url, patience)
    except (OSError, asyncpg.PostgresError) as error:
        context.fail(f"the databases cannot be read: {type(error).__name__}: {error}")
    if not _print(context, found):
        raise click.exceptions.Exit(Code.FAILED)


def _compare(url: Callable[[str], str], patience: float = 0.0) -> list[Finding]:
    return asyncio.run(compare(url, patience))


def _print(context: Context, found: list[Finding]) -> bool:
    for finding in found:
        colour = "red" if finding.is_fault else "green"
        context.console.print(f"[{colour}]{escape(str(finding))}[/{colour}]", highlight=False, soft_wrap=True)
    return not any(finding.is_fault for finding in found)


def _placed(kept: list[Path]) -> str:
    return f"in place; what was there is kept in {', '.join(map(str, kept))}" if kept else "in place"


def _configuration(context: Context) -> Configuration:
    try:
        configuration = configuration_of(context.home)
    except BackupError as error:
        context.fail(str(error))
    if configuration is None:
        context.fail(f"{context.home} is not backed up anywhere: `nhip backup init` says where to")
    return configuration


def _reporter(context: Context) -> Callable[[str], None]:
    began = time.monotonic()

    def report(line: str) -> None:
        passed = time.monotonic() - began
        context.console.print(f"[dim]{passed:5.1f} s[/dim]  {escape(line)}", highlight=False, soft_wrap=True)

    return report
