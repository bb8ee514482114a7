"""The ids of imported resources: derived from the source's, so that the same line again is the same resource.

A Patient has its registration's. Where a deployment takes over the ids of the server that it succeeds
(`NHIP_FHIR_POLICY`, `updates-create`), the others keep theirs.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from libs.fhir.references import parse_local
from libs.ids import derived_id
from services.exchange.formats.ndjson.reading import Item


@dataclass(frozen=True, slots=True)
class Naming:
    """How one source's ids become this server's."""

    organization_id: str
    source: str
    keeps_ids: bool

    def id_of(self, item: Item) -> str:
        """The id of what is no Patient. A line without an id is known by what it says."""
        own = item.source_id
        if not own:
            return self._derived(item.type, "content", hashlib.sha256(item.data).hexdigest())
        return own if self.keeps_ids else self._derived(item.type, "id", own)

    def aliases(self, references: Iterable[str], patients: Mapping[str, str]) -> dict[str, str]:
        """What references of the source mean here. `patients` maps the source's ids to registrations."""
        found: dict[str, str] = {}
        for text in references:
            local = parse_local(text)
            if local is None:
                continue
            if local.type == "Patient":
                if local.id in patients:
                    found[text] = f"Patient/{patients[local.id]}"
            elif not self.keeps_ids:
                found[text] = f"{local.type}/{self._derived(local.type, 'id', local.id)}"
        return found

    def _derived(self, kind: str, form: str, name: str) -> str:
        return derived_id("ndjson", self.organization_id, self.source, kind, form, name)
