"""The keys that verify tokens."""

from nhip.identity.v1 import service_pb2

from libs.runtime.call import Call
from services.identity import wire
from services.identity.api.ground import Section
from services.identity.rules import rotation
from services.identity.store import keys


class Keys(Section):
    """Keys: published, rotated."""

    async def ListVerificationKeys(
        self, request: service_pb2.ListVerificationKeysRequest, call: Call
    ) -> service_pb2.ListVerificationKeysResponse:
        """Every key that verifies, or soon will."""
        del request, call
        async with self.database.reading() as reader:
            held = await keys.in_force(reader)
        past = rotation.past(held, self.means.clock())
        return service_pb2.ListVerificationKeysResponse(
            keys=[wire.verification_key(key) for key in held if key not in past]
        )

    async def RotateKey(self, request: service_pb2.RotateKeyRequest, call: Call) -> service_pb2.RotateKeyResponse:
        """Makes a new key.

        With `retire_now` it signs at once, and until a service has learned it (about a second) that service refuses the
        new tokens with TOKEN_KEY_UNKNOWN: a moment's refusals are the price of ending a leak now.
        """
        async with self.database.writing(call) as writer:
            key = await self.means.signing_keys.rotate(writer, retire_older=request.retire_now)
            response = await writer.answer(service_pb2.RotateKeyResponse(key=wire.verification_key(key)))
        await self.means.signing_keys.refresh()
        return response
