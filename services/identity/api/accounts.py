"""Citizens' accounts."""

from nhip.identity.v1 import service_pb2

from libs.ids import new_id
from libs.runtime.call import Call
from services.identity import wire
from services.identity.api.ground import Section
from services.identity.model import Account
from services.identity.rules import directory as rules
from services.identity.store import directory


class Accounts(Section):
    """Accounts, known by the keyed hash of the identifier that they were proven with."""

    async def CreateAccount(
        self, request: service_pb2.CreateAccountRequest, call: Call
    ) -> service_pb2.CreateAccountResponse:
        """Opens an account; the same identifier again answers the same account.

        The identifier itself is not kept, and is answered with all but its end covered: answers are remembered.
        """
        system, value = rules.sound_identifier(request.identifier.system, request.identifier.value)
        citizen_key = self.means.citizen_keys.key_of(system, value)
        call.touch(citizen_key=citizen_key)
        asked = Account(new_id(), citizen_key, system, rules.masked(value), request.display_name)
        async with self.database.writing(call) as writer:
            account = await directory.put_account(writer, asked)
            return await writer.answer(service_pb2.CreateAccountResponse(account=wire.account(account)))
