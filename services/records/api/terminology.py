"""Codes: expand, look up, compare, validate, translate, and load."""

from collections.abc import Sequence

import orjson
from nhip.records.v1 import terminology_pb2

from libs.database.transactions import Reader
from libs.errors import FieldViolation, InvalidArgumentError, NotFoundError
from libs.runtime.call import Call
from services.records.api.ground import UseCases
from services.records.rules.terminology.composing import Composition, composition_of, words_of
from services.records.rules.terminology.concepts import Concept
from services.records.store.terminology import loading, translating
from services.records.store.terminology.systems import find_system, require_system
from services.records.store.terminology.value_sets import Member, ValueSets


class TerminologyApi(UseCases):
    """nhip.records.v1.TerminologyService."""

    async def ExpandValueSet(
        self, request: terminology_pb2.ExpandValueSetRequest, call: Call
    ) -> terminology_pb2.ExpandValueSetResponse:
        """The whole is put together, then the page is cut."""
        async with self.database.reading(snapshot=True) as reader:
            sets = ValueSets(reader, call.caller, self.clock())
            wanted = await _chosen(sets, request.value_set)
            found = await sets.expand(wanted, words_of(request.text), active_only=request.active_only)
        end = request.offset + request.count if request.count else None
        return terminology_pb2.ExpandValueSetResponse(
            concepts=[_member(one) for one in found[request.offset : end]],
            total=len(found),
            url=wanted.url,
            version=wanted.version,
            title=wanted.title,
        )

    async def LookupCode(
        self, request: terminology_pb2.LookupCodeRequest, call: Call
    ) -> terminology_pb2.LookupCodeResponse:
        """One concept with what stands right below it."""
        async with self.database.reading() as reader:
            system = await require_system(reader, call.caller, self.clock(), request.system, request.version)
            found = (await system.find([request.code])).get(request.code)
            if found is None:
                raise _code_unknown(request.system, request.code, "code")
            children = await system.children(request.code)
        member = Member(request.system, system.version, found)
        return terminology_pb2.LookupCodeResponse(concept=_member(member), title=system.title, children=children)

    async def TestSubsumption(
        self, request: terminology_pb2.TestSubsumptionRequest, call: Call
    ) -> terminology_pb2.TestSubsumptionResponse:
        """Two codes of one system."""
        async with self.database.reading() as reader:
            system = await require_system(reader, call.caller, self.clock(), request.system, request.version)
            known = await system.find([request.code_a, request.code_b])
            for name, code in (("codeA", request.code_a), ("codeB", request.code_b)):
                if code not in known:
                    raise _code_unknown(request.system, code, name)
            above_a = await system.ancestors(request.code_a)
            above_b = await system.ancestors(request.code_b)
        outcome = "not-subsumed"
        if request.code_a == request.code_b:
            outcome = "equivalent"
        elif request.code_a in above_b:
            outcome = "subsumes"
        elif request.code_b in above_a:
            outcome = "subsumed-by"
        return terminology_pb2.TestSubsumptionResponse(outcome=outcome)

    async def ValidateCode(
        self, request: terminology_pb2.ValidateCodeRequest, call: Call
    ) -> terminology_pb2.ValidateCodeResponse:
        """One right code is enough; else what is wrong with the last one."""
        message = ""
        async with self.database.reading(snapshot=True) as reader:
            sets = ValueSets(reader, call.caller, self.clock())
            wanted = await _chosen(sets, request.value_set) if request.HasField("value_set") else None
            for asked in request.codes:
                found, message = await self._validated(reader, call, sets, wanted, asked, infers=request.infer_system)
                if found is not None and not message:
                    return terminology_pb2.ValidateCodeResponse(is_valid=True, concept=_member(found))
        return terminology_pb2.ValidateCodeResponse(is_valid=False, message=message)

    async def _validated(
        self,
        reader: Reader,
        call: Call,
        sets: ValueSets,
        wanted: Composition | None,
        asked: terminology_pb2.CodeAsked,
        *,
        infers: bool,
    ) -> tuple[Member | None, str]:
        if not asked.system and not infers:
            return None, f"the code {asked.code} comes without its system"
        member: Member | None = None
        if wanted is not None:
            member = await sets.includes(wanted, asked.system, asked.code)
            if member is None:
                return (
                    None,
                    f"the code {asked.code} of {asked.system or 'any system'} is not in {wanted.url or 'the value set'}",
                )
        else:
            system = await find_system(reader, call.caller, self.clock(), asked.system, asked.version)
            if system is None:
                return None, f"the code system {asked.system} is not known here"
            concept = (await system.find([asked.code])).get(asked.code)
            if concept is None:
                return None, f"the code {asked.code} is not in {asked.system}"
            member = Member(asked.system, system.version, concept)
        if asked.display and member.concept.display and not member.concept.is_called(asked.display):
            return member, f"the code {asked.code} is called {member.concept.display}, not {asked.display}"
        return member, ""

    async def TranslateCode(
        self, request: terminology_pb2.TranslateCodeRequest, call: Call
    ) -> terminology_pb2.TranslateCodeResponse:
        """Every match once, in the order of the maps."""
        keys = [(one.system, one.code) for one in request.codes]
        now = self.clock()
        async with self.database.reading(snapshot=True) as reader:
            if request.id:
                lines = await translating.read_map(reader, call.caller, now, request.id)
                if lines is None:
                    raise _map_unknown(request.id)
                turned = [one.reversed() for one in lines] if request.is_reverse else lines
                found = translating.within(turned, keys)
            else:
                if request.url and not await translating.is_known(reader, call.caller, now, request.url):
                    raise _map_unknown(request.url)
                found = await translating.translate(
                    reader, call.caller, now, keys, map_url=request.url, is_reverse=request.is_reverse
                )
            found = [one for one in dict.fromkeys(found) if request.target_system in {"", one.target_system}]
            displays = await self._displays(reader, call, [(one.target_system, one.target_code) for one in found])
        return terminology_pb2.TranslateCodeResponse(
            translations=[
                terminology_pb2.Translation(
                    system=one.target_system,
                    code=one.target_code,
                    display=one.target_display or displays.get((one.target_system, one.target_code), ""),
                    equivalence=one.equivalence,
                    map_url=one.map_url,
                )
                for one in found
            ]
        )

    async def _displays(
        self, reader: Reader, call: Call, keys: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], str]:
        found: dict[tuple[str, str], str] = {}
        for url in dict.fromkeys(system for system, _ in keys):
            system = await find_system(reader, call.caller, self.clock(), url)
            if system is not None:
                concepts = await system.find([code for one, code in keys if one == url])
                found.update(((url, code), concept.display) for code, concept in concepts.items())
        return found

    async def ListLoads(self, _: terminology_pb2.ListLoadsRequest, call: Call) -> terminology_pb2.ListLoadsResponse:
        """What is loaded, complete or not."""
        del call
        async with self.database.reading() as reader:
            found = await loading.loads(reader)
        return terminology_pb2.ListLoadsResponse(loads=[_load(one) for one in found])

    async def LoadConcepts(
        self, request: terminology_pb2.LoadConceptsRequest, call: Call
    ) -> terminology_pb2.LoadConceptsResponse:
        """A part of a code system."""
        part = _part(loading.CONCEPTS, request.part, len(request.concepts))
        now = self.clock()
        async with self.database.writing(call) as writer:
            await writer.lock(part.lock)
            load = await loading.begin(writer, part, now)
            if load is None:
                await loading.add_concepts(writer, part, [_concept(one) for one in request.concepts])
                load = await loading.finish(writer, part, now)
            return await writer.answer(terminology_pb2.LoadConceptsResponse(load=_load(load)))

    async def LoadMappings(
        self, request: terminology_pb2.LoadMappingsRequest, call: Call
    ) -> terminology_pb2.LoadMappingsResponse:
        """A part of a map."""
        part = _part(loading.MAPPINGS, request.part, len(request.mappings))
        now = self.clock()
        async with self.database.writing(call) as writer:
            await writer.lock(part.lock)
            load = await loading.begin(writer, part, now)
            if load is None:
                rows = request.mappings
                await writer.execute(
                    loading.ADD_MAPPINGS,
                    name=part.name,
                    version=part.version,
                    source_systems=[one.source_system for one in rows],
                    source_codes=[one.source_code for one in rows],
                    target_systems=[one.target_system for one in rows],
                    target_codes=[one.target_code for one in rows],
                    target_displays=[one.target_display for one in rows],
                    equivalences=[one.equivalence or "equivalent" for one in rows],
                )
                load = await loading.finish(writer, part, now)
            return await writer.answer(terminology_pb2.LoadMappingsResponse(load=_load(load)))

    async def LoadInteractions(
        self, request: terminology_pb2.LoadInteractionsRequest, call: Call
    ) -> terminology_pb2.LoadInteractionsResponse:
        """A part of a table of interactions."""
        part = _part(loading.INTERACTIONS, request.part, len(request.interactions))
        now = self.clock()
        async with self.database.writing(call) as writer:
            await writer.lock(part.lock)
            load = await loading.begin(writer, part, now)
            if load is None:
                rows = request.interactions
                await writer.execute(
                    loading.ADD_INTERACTIONS,
                    name=part.name,
                    version=part.version,
                    atc_as=[one.atc_a for one in rows],
                    atc_bs=[one.atc_b for one in rows],
                    severities=[one.severity for one in rows],
                    directions=[one.direction for one in rows],
                    texts_th=[one.text_th for one in rows],
                    texts_en=[one.text_en for one in rows],
                )
                load = await loading.finish(writer, part, now)
            return await writer.answer(terminology_pb2.LoadInteractionsResponse(load=_load(load)))


async def _chosen(sets: ValueSets, choice: terminology_pb2.ValueSetChoice) -> Composition:
    """The value set that is meant. Raises InvalidArgumentError, reason VALUE_SET_MISSING, VALUE_SET_INVALID."""
    if choice.id:
        return await sets.read(choice.id)
    if choice.url:
        return await sets.find(choice.url)
    if not choice.inline:
        violation = FieldViolation("url", "VALUE_SET_MISSING", "a url or a valueSet belongs here")
        raise InvalidArgumentError("VALUE_SET_MISSING", "no value set is named", fields=[violation])
    try:
        return composition_of(orjson.loads(choice.inline))
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        violation = FieldViolation("valueSet", "VALUE_SET_INVALID", "it is not put together as a ValueSet is")
        raise InvalidArgumentError("VALUE_SET_INVALID", "the value set is not sound", fields=[violation]) from None


def _part(kind: str, part: terminology_pb2.LoadPart, count: int) -> loading.Part:
    return loading.Part(kind, part.name, part.version, part.title, part.digest, part.offset, count, part.is_last)


def _load(load: loading.Load) -> terminology_pb2.Load:
    return terminology_pb2.Load(
        kind=load.kind,
        name=load.name,
        version=load.version,
        title=load.title,
        rows=load.rows,
        is_complete=load.is_complete,
        is_current=load.is_current,
        digest=load.digest,
    )


def _concept(message: terminology_pb2.Concept) -> Concept:
    return Concept(
        code=message.code,
        display=message.display,
        definition=message.definition,
        parents=tuple(dict.fromkeys(one for one in message.parents if one != message.code)),
        designations=tuple((one.language, one.text) for one in message.designations),
        properties=tuple((one.name, one.text) for one in message.properties),
        is_inactive=message.is_inactive,
    )


def _member(member: Member) -> terminology_pb2.SystemConcept:
    one = member.concept
    return terminology_pb2.SystemConcept(
        system=member.system,
        version=member.version,
        concept=terminology_pb2.Concept(
            code=one.code,
            display=one.display,
            definition=one.definition,
            parents=one.parents,
            designations=[terminology_pb2.Designation(language=name, text=text) for name, text in one.designations],
            properties=[terminology_pb2.ConceptProperty(name=name, text=text) for name, text in one.properties],
            is_inactive=one.is_inactive,
        ),
    )


def _code_unknown(system: str, code: str, where: str) -> NotFoundError:
    message = f"the code {code} is not in {system}"
    return NotFoundError("CODE_UNKNOWN", message, fields=[FieldViolation(where, "not-found", message)])


def _map_unknown(name: str) -> NotFoundError:
    message = f"the map {name} is not known here"
    return NotFoundError("CONCEPT_MAP_UNKNOWN", message, fields=[FieldViolation("url", "not-found", message)])
