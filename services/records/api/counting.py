"""What would change person with a decision of the patient index."""

from nhip.records.v1 import service_pb2

from libs.runtime.call import Call
from services.records.api.ground import UseCases
from services.records.store.filed import count_filed, list_filed

ENCOUNTER = "Encounter"


class Counting(UseCases):
    """Counts all, names what the caller may see."""

    async def CountEncounters(
        self, request: service_pb2.CountEncountersRequest, call: Call
    ) -> service_pb2.CountEncountersResponse:
        """Two statements over one state."""
        registration_ids = list(request.registration_ids)
        for one in registration_ids:
            call.touch(registration=one)
        async with self.database.reading(snapshot=True) as reader:
            count = await count_filed(reader, registration_ids, ENCOUNTER)
            found = await list_filed(reader, call.caller, self.clock(), registration_ids, ENCOUNTER, request.limit)
        items = [service_pb2.FiledEncounter(id=one, registration_id=under) for one, under in found]
        return service_pb2.CountEncountersResponse(count=count, items=items)
