"""Programs that authenticate with a secret."""

from dataclasses import replace

from nhip.identity.v1 import service_pb2

from libs.errors import NotFoundError
from libs.runtime.call import Call
from services.identity import wire
from services.identity.api.ground import Section
from services.identity.rules import directory as rules
from services.identity.rules import scopes
from services.identity.store import clients, directory


class Clients(Section):
    """Clients: created, disabled, enabled."""

    async def CreateClient(
        self, request: service_pb2.CreateClientRequest, call: Call
    ) -> service_pb2.CreateClientResponse:
        """Creates a client; with a secret of the caller's choice, the same again changes nothing.

        What is remembered for a retry under the same request_id is the answer without the secret: it is kept nowhere.
        """
        asked = wire.client_from(request.client, scopes.require_known(request.client.scopes))
        secret = request.client_secret or self.means.client_secrets.fresh()
        async with self.database.writing(call) as writer:
            if await directory.find_organization(writer, asked.organization_id) is None:
                raise rules.organization_unknown()
            recorded_at = await clients.add(writer, asked, self.means.client_secrets.digest(secret))
            client = replace(asked, recorded_at=recorded_at)
            if recorded_at is None and (found := await clients.find(writer, asked.client_id)):
                client, digest = found
                is_same_secret = self.means.client_secrets.is_right(request.client_secret, digest)
                rules.require_same_client(client, asked, is_same_secret=is_same_secret)
            response = await writer.answer(service_pb2.CreateClientResponse(client=wire.client(client)))
        return service_pb2.CreateClientResponse(
            client=response.client, client_secret=secret if recorded_at is not None else ""
        )

    async def UpdateClient(
        self, request: service_pb2.UpdateClientRequest, call: Call
    ) -> service_pb2.UpdateClientResponse:
        """Disables or enables a client. Fails with NOT_FOUND, reason CLIENT_UNKNOWN."""
        async with self.database.writing(call) as writer:
            client = await clients.set_disabled(writer, request.client_id, is_disabled=request.is_disabled)
            if client is None:
                raise NotFoundError("CLIENT_UNKNOWN", "there is no client with this id")
            return await writer.answer(service_pb2.UpdateClientResponse(client=wire.client(client)))
