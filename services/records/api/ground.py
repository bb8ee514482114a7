"""What every use-case is handed."""

from dataclasses import dataclass, field

from libs.access.caller import Caller
from libs.clock import Clock
from libs.database.engine import Database
from libs.errors import PermissionDeniedError
from libs.pages import PageTokens
from services.records.model import Policy

FEED = "records"


@dataclass(frozen=True, slots=True)
class Means:
    """The database, the time, the key of page tokens, and what the deployment allows."""

    database: Database
    clock: Clock
    pages: PageTokens
    policy: Policy = field(default_factory=Policy)
    # The resource types whose search index is known to be of today's rules.
    indexed: set[str] = field(default_factory=set)


class UseCases:
    """A part of the API."""

    def __init__(self, means: Means) -> None:
        self.database = means.database
        self.clock = means.clock
        self.pages = means.pages
        self.policy = means.policy
        self.indexed = means.indexed


def require_organization(caller: Caller) -> None:
    """Raises PermissionDeniedError, reason ORGANIZATION_MISSING: what is filed is filed by somebody."""
    if not caller.organization_id or caller.is_citizen:
        raise PermissionDeniedError("ORGANIZATION_MISSING", "resources are filed in the name of an organisation")


def seen_by(caller: Caller) -> tuple[str, ...]:
    """What of a caller decides what they see: a page token holds for the same eyes only."""
    return (caller.kind.value, caller.subject, caller.organization_id, str(caller.purpose), caller.citizen_key)
