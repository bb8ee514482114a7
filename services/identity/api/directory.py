"""Organisations and practitioners."""

from nhip.identity.v1 import service_pb2

from libs.errors import NotFoundError
from libs.ids import derived_id
from libs.runtime.call import Call
from services.identity import wire
from services.identity.api.ground import Section
from services.identity.bootstrap import FEED
from services.identity.rules import directory as rules
from services.identity.store import directory

DEFAULT_PAGE = 100


class Directory(Section):
    """Who treats, and where."""

    async def CreateOrganization(
        self, request: service_pb2.CreateOrganizationRequest, call: Call
    ) -> service_pb2.CreateOrganizationResponse:
        """Creates an organisation; the same again changes nothing."""
        asked = rules.with_health_region(wire.organization_from(request.organization))
        async with self.database.writing(call) as writer:
            await writer.lock(asked.organization_id)
            organization = await directory.find_organization(writer, asked.organization_id)
            if organization is None:
                organization = await directory.add_organization(writer, asked) or asked
                writer.announce(FEED, asked.organization_id, wire.organization_event(organization))
            rules.require_same_organization(organization, asked)
            response = service_pb2.CreateOrganizationResponse(organization=wire.organization(organization))
            return await writer.answer(response)

    async def GetOrganization(
        self, request: service_pb2.GetOrganizationRequest, call: Call
    ) -> service_pb2.GetOrganizationResponse:
        """The organisation of that id."""
        del call
        async with self.database.reading() as reader:
            organization = await directory.find_organization(reader, request.organization_id)
        if organization is None:
            raise rules.organization_unknown()
        return service_pb2.GetOrganizationResponse(organization=wire.organization(organization))

    async def ListOrganizations(
        self, request: service_pb2.ListOrganizationsRequest, call: Call
    ) -> service_pb2.ListOrganizationsResponse:
        """A page of organisations by id."""
        del call
        after = self.means.pages.read(request.page_token, "organizations") or ""
        page_size = request.page_size or DEFAULT_PAGE
        async with self.database.reading() as reader:
            found = await directory.list_organizations(reader, after, page_size + 1)
        page = found[:page_size]
        has_more = len(found) > page_size
        return service_pb2.ListOrganizationsResponse(
            organizations=[wire.organization(organization) for organization in page],
            next_page_token=self.means.pages.write(page[-1].organization_id, "organizations") if has_more else "",
        )

    async def CreatePractitioner(
        self, request: service_pb2.CreatePractitionerRequest, call: Call
    ) -> service_pb2.CreatePractitionerResponse:
        """Registers a practitioner; the same licence at the same organisation again updates name and role."""
        practitioner_id = derived_id("practitioner", request.practitioner.organization_id, request.practitioner.licence)
        asked = wire.practitioner_from(request.practitioner, practitioner_id)
        rules.require_own_organization(call.caller, asked.organization_id)
        async with self.database.writing(call) as writer:
            await writer.lock(practitioner_id)
            if await directory.find_organization(writer, asked.organization_id) is None:
                raise rules.organization_unknown()
            practitioner = await directory.put_practitioner(writer, asked)
            if practitioner is not None:
                writer.announce(FEED, practitioner_id, wire.practitioner_event(practitioner))
            else:
                practitioner = await directory.find_practitioner(writer, practitioner_id) or asked
            response = service_pb2.CreatePractitionerResponse(practitioner=wire.practitioner(practitioner))
            return await writer.answer(response)

    async def GetPractitioner(
        self, request: service_pb2.GetPractitionerRequest, call: Call
    ) -> service_pb2.GetPractitionerResponse:
        """The practitioner of that id."""
        del call
        async with self.database.reading() as reader:
            practitioner = await directory.find_practitioner(reader, request.practitioner_id)
        if practitioner is None:
            raise NotFoundError("PRACTITIONER_UNKNOWN", "there is no practitioner with this id")
        return service_pb2.GetPractitionerResponse(practitioner=wire.practitioner(practitioner))
