"""Migrations: Alembic revisions per service, each safe under the previous release.

A revision stands in `services/<service>/migrations/NNNN_<what>.py` with the usual `revision`, `down_revision` and
`upgrade()`. `NNNN_<what>` is its id.
"""

import asyncio
from pathlib import Path

import asyncpg

from libs.errors import FailedPreconditionError

SERVICES = Path(__file__).resolve().parents[2] / "services"
# A migration waits this long for a lock and then gives way to the traffic; running it again goes on.
LOCK_TIMEOUT = "5s"
_ADVISORY_KEY = 0x4E484950


def revisions(service: str) -> list[str]:
    """Every revision that this code knows, from the first."""
    return sorted(path.stem for path in (SERVICES / service / "migrations").glob("[0-9]*.py"))


def expected_head(service: str) -> str:
    """The newest revision that this code knows."""
    names = revisions(service)
    if not names:
        raise FileNotFoundError(f"service {service} has no migrations")
    return names[-1]


async def current_revision(url: str) -> str:
    """The revision that a database stands at; empty for a new one."""
    connection = await asyncpg.connect(url)
    try:
        if await connection.fetchval("SELECT to_regclass('public.alembic_version')") is None:
            return ""
        return await connection.fetchval("SELECT version_num FROM alembic_version") or ""
    finally:
        await connection.close()


async def require_head(url: str, service: str) -> None:
    """Refuses to go on over a schema that this code does not know.

    A database that is ahead by a later release's expanding migrations is accepted: its name is not known here, and such
    migrations are safe under the previous release.
    Raises FailedPreconditionError, reason SCHEMA_BEHIND.
    """
    current, head = await current_revision(url), expected_head(service)
    if current < head:
        message = f"the schema of {service} stands at {current or 'nothing'}, this code needs {head}: run migrate first"
        raise FailedPreconditionError("SCHEMA_BEHIND", message)


def migrate(url: str, service: str, to: str = "") -> str:
    """Brings a database to the newest revision, or the one given; two at once wait for each other. Answers the revision."""
    head = to or expected_head(service)
    if asyncio.run(current_revision(url)) >= head:
        return head
    _upgrade(url, service, head)
    return head


def _upgrade(url: str, service: str, to: str) -> None:
    # Imported here: serving processes never migrate, and Alembic costs memory.
    from alembic.config import Config  # noqa: PLC0415
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415
    from sqlalchemy import Connection, text  # noqa: PLC0415
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415

    folder = SERVICES / service / "migrations"
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("version_locations", str(folder))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory(str(folder), version_locations=[str(folder)])

    def run(connection: Connection) -> None:
        connection.execute(text(f"SELECT pg_advisory_lock({_ADVISORY_KEY})"))
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.commit()
        with EnvironmentContext(
            config,
            script,
            fn=lambda revision, _: script._upgrade_revs(to, revision),  # noqa: SLF001 the hook Alembic's own command uses
        ) as environment:
            # A transaction per revision: one that was cut off leaves those before it done.
            environment.configure(connection=connection, transaction_per_migration=True)
            with environment.begin_transaction():
                environment.run_migrations()

    async def upgrade() -> None:
        # asyncpg reads the URL itself, with all that libpq understands in it, such as sslmode.
        engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(url))
        try:
            async with engine.connect() as connection:
                await connection.run_sync(run)
        finally:
            await engine.dispose()

    asyncio.run(upgrade())


def create_ground_tables() -> None:
    """Within a revision: creates the tables that the ground needs in every service's database."""
    from alembic import op  # noqa: PLC0415

    from libs.feed.tables import metadata  # noqa: PLC0415

    metadata.create_all(op.get_bind())
