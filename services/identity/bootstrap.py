"""What must be there before anybody can call: the platform's own organisation and its two clients.

Runs at every start and changes only what differs, so that replicas may start together and a secret may be replaced.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from libs.database.engine import Database
from libs.runtime.settings import Settings, SettingsError
from services.identity import wire
from services.identity.credentials import ClientSecrets
from services.identity.model import Client, Organization, OrganizationKind
from services.identity.rules.scopes import BOOTSTRAP_SCOPES, EXCHANGE_SCOPES
from services.identity.store import clients, directory

PLATFORM = Organization("nhip", "แพลตฟอร์มข้อมูลสุขภาพแห่งชาติ", "NHIP", OrganizationKind.AGENCY, "", "", 0)
FEED = "identity"
_SHORTEST_SECRET = 24


@dataclass(frozen=True, slots=True)
class Wanted:
    """A client that must be there, with its secret."""

    client: Client
    secret: str


def wanted_clients(settings: Settings) -> tuple[Wanted, ...]:
    """The clients that the deployment's secret files name. Raises SettingsError."""
    return (
        _wanted(settings, "bootstrap_client", "the first administrator", BOOTSTRAP_SCOPES),
        _wanted(settings, "exchange_client", "imports and exports", EXCHANGE_SCOPES, may_act_for_others=True),
    )


async def bootstrap(database: Database, wanted: Sequence[Wanted], client_secrets: ClientSecrets) -> None:
    """Creates what is missing and renews what differs, in one transaction."""
    async with database.writing() as writer:
        await writer.lock(PLATFORM.organization_id)
        # Announced once: the organisation is added by whoever finds none.
        if (added := await directory.add_organization(writer, PLATFORM)) is not None:
            writer.announce(FEED, added.organization_id, wire.organization_event(added))
        for one in wanted:
            found = await clients.find(writer, one.client.client_id)
            if found is None:
                await clients.add(writer, one.client, client_secrets.digest(one.secret))
                continue
            client, digest = found
            if client.scopes != one.client.scopes or not client_secrets.is_right(one.secret, digest):
                await clients.set_grant(writer, client.client_id, one.client.scopes, client_secrets.digest(one.secret))


def _wanted(
    settings: Settings, name: str, purpose: str, scopes: Sequence[str], *, may_act_for_others: bool = False
) -> Wanted:
    try:
        secret = orjson.loads(settings.secret_text(name))
        client_id, client_secret = str(secret["client_id"]), str(secret["client_secret"])
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise SettingsError(f"secret {name} is not JSON with client_id and client_secret") from error
    if not client_id or len(client_secret) < _SHORTEST_SECRET:
        raise SettingsError(f"secret {name} needs a client_id and a secret of {_SHORTEST_SECRET} characters or more")
    client = Client(client_id, PLATFORM.organization_id, purpose, tuple(sorted(scopes)), may_act_for_others)
    return Wanted(client, client_secret)
