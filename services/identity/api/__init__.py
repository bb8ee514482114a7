"""The RPCs of identity, by what they are about."""

from services.identity.api.accounts import Accounts
from services.identity.api.clients import Clients
from services.identity.api.consents import Consents
from services.identity.api.directory import Directory
from services.identity.api.keys import Keys
from services.identity.api.tokens import Tokens


class IdentityApi(Directory, Clients, Accounts, Tokens, Keys, Consents):
    """nhip.identity.v1.IdentityService."""


__all__ = ["IdentityApi"]
