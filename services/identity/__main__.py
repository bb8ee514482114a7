"""Wiring of identity: `python -m services.identity serve | migrate`."""

from nhip.identity.v1 import service_pb2

from libs.access.citizen_keys import CitizenKeys
from libs.feed.server import Feed
from libs.runtime.service import Assembly, Ground, main
from services.identity import bootstrap, feeds, signing
from services.identity.api import IdentityApi
from services.identity.api.ground import Means
from services.identity.credentials import ClientSecrets


async def build(ground: Ground) -> Assembly:
    """Makes sure that there is somebody who can call and a key that signs, then offers the RPCs."""
    settings = ground.settings
    platform_key = settings.secret("platform_key")
    client_secrets = ClientSecrets(platform_key)
    signing_keys = signing.SigningKeys(ground.database, ground.keys, platform_key, ground.clock)
    await bootstrap.bootstrap(ground.database, bootstrap.wanted_clients(settings), client_secrets)
    await signing_keys.ensure()
    means = Means(
        database=ground.database,
        clock=ground.clock,
        pages=ground.pages,
        citizen_keys=CitizenKeys(settings.secret("citizen_key")),
        client_secrets=client_secrets,
        signing_keys=signing_keys,
        allow_development_login=settings.allow_development_login,
    )
    return Assembly(
        apis={service_pb2.DESCRIPTOR.services_by_name["IdentityService"]: IdentityApi(means)},
        feeds=[Feed(signing.FEED, feeds.keys_snapshot), Feed(bootstrap.FEED, feeds.identity_snapshot)],
        background=[signing_keys.keep_maintained],
    )


if __name__ == "__main__":
    raise SystemExit(main("identity", build))
