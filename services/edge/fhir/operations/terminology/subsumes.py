"""$subsumes (https://hl7.org/fhir/R4/codesystem-operation-subsumes.html): how two codes stand to each other."""

from nhip.records.v1 import terminology_pb2

from services.edge.asgi import Reply
from services.edge.fhir.operations.invocation import Invocation, answer
from services.edge.fhir.operations.parameters import refused, told
from services.edge.fhir.operations.terminology.codes import system_of


async def subsumes(invoked: Invocation) -> Reply:
    """`GET|POST CodeSystem/$subsumes`."""
    arguments = await invoked.arguments("codeA", "codeB", "system", "version", "codingA", "codingB")
    system, version = arguments.text("system"), arguments.text("version")
    codes = {}
    for name in ("A", "B"):
        coding = arguments.object(f"coding{name}") or {}
        codes[name] = str(coding.get("code") or arguments.text(f"code{name}"))
        if not codes[name]:
            raise refused(f"code{name}", "PARAMETER_MISSING", f"code{name} or coding{name} belongs here")
        said = coding.get("system", "")
        if said and system not in {"", said}:
            raise refused(f"coding{name}.system", "PARAMETER_INVALID", "both codes are of one system")
        system = system or str(said)
    if invoked.resource_id:
        system, version = await system_of(invoked)
    if not system:
        raise refused("system", "PARAMETER_MISSING", "the system of the codes belongs here")
    message = terminology_pb2.TestSubsumptionRequest(
        system=system, version=version, code_a=codes["A"], code_b=codes["B"]
    )
    response = await invoked.upstream["records.TestSubsumption"](message, invoked.request)
    return answer(told([{"name": "outcome", "valueCode": response.outcome}]))
