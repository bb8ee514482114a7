"""What the RPCs of identity stand on."""

from dataclasses import dataclass

from libs.access.citizen_keys import CitizenKeys
from libs.clock import Clock
from libs.database.engine import Database
from libs.pages import PageTokens
from services.identity.credentials import ClientSecrets
from services.identity.signing import SigningKeys


@dataclass(frozen=True, slots=True)
class Means:
    """Handed to the API by the wiring."""

    database: Database
    clock: Clock
    pages: PageTokens
    citizen_keys: CitizenKeys
    client_secrets: ClientSecrets
    signing_keys: SigningKeys
    allow_development_login: bool


class Section:
    """A part of the API."""

    def __init__(self, means: Means) -> None:
        self.means = means
        self.database = means.database
