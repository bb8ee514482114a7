"""Changing the matching model: register, score in the shadow, look at who would join and part, approve, adopt, go back."""

from importlib import resources

from nhip.patient_index.v1 import models_pb2, resources_pb2

from libs.database.transactions import Reader
from libs.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    FieldViolation,
    InvalidArgumentError,
    NotFoundError,
)
from libs.runtime.call import Call
from services.patient_index import rules, wire
from services.patient_index.api.ground import DEFAULT_PAGE, Rooted
from services.patient_index.rules.shadowing import read_candidate_model
from services.patient_index.rules.weighing import FS_1
from services.patient_index.store import models
from services.patient_index.store.models import KeptModel, ListedFlip, Run
from services.patient_index.store.reading import FIRST_ID

_FIRST_FLIP = (1e308, FIRST_ID, FIRST_ID)
_BROUGHT = KeptModel(
    FS_1.name,
    resources.files(rules).joinpath("fs_1.json").read_text(encoding="utf-8"),
    "",
    "brought by the software",
)


class Modelling(Rooted):
    """RPCs about models."""

    async def RegisterModel(
        self, request: models_pb2.RegisterModelRequest, call: Call
    ) -> models_pb2.RegisterModelResponse:
        """Keeps a model that could decide."""
        try:
            name = read_candidate_model(request.definition).name
        except ValueError as error:
            violation = FieldViolation("definition", "MODEL_INVALID", str(error))
            raise InvalidArgumentError("MODEL_INVALID", str(error), fields=[violation]) from error
        moment = self.means.clock()
        made = KeptModel(name, request.definition, call.caller.subject, request.reason, moment)
        async with self.means.database.writing(call) as writer:
            await writer.lock(models.LOCK)
            known = next(iter(await models.read_models(writer, name)), _BROUGHT if name == _BROUGHT.name else None)
            if known is not None and known.definition != made.definition:
                raise AlreadyExistsError("MODEL_EXISTS", "another model has this name")
            if known is None:
                await models.keep_model(writer, made, moment)
            return await writer.answer(models_pb2.RegisterModelResponse(model=await self._told(writer, known or made)))

    async def ListModels(self, request: models_pb2.ListModelsRequest, call: Call) -> models_pb2.ListModelsResponse:
        """All, the newest first."""
        del request, call
        async with self.means.database.reading(snapshot=True) as reader:
            told = [await self._told(reader, one) for one in [*await models.read_models(reader), _BROUGHT]]
        for one in told:
            one.ClearField("definition")
        return models_pb2.ListModelsResponse(models=told)

    async def GetModel(self, request: models_pb2.GetModelRequest, call: Call) -> models_pb2.GetModelResponse:
        """One, with its shadow run."""
        del call
        async with self.means.database.reading(snapshot=True) as reader:
            kept = await _known(reader, request.name)
            return models_pb2.GetModelResponse(model=await self._told(reader, kept))

    async def ShadowModel(self, request: models_pb2.ShadowModelRequest, call: Call) -> models_pb2.ShadowModelResponse:
        """Begins to score; one that runs goes on."""
        moment = self.means.clock()
        async with self.means.database.writing(call) as writer:
            await writer.lock(models.LOCK, f"{models.LOCK}/{request.name}")
            kept = await _known(writer, request.name)
            deciding = await _deciding(writer)
            if kept.name in (deciding, _BROUGHT.name):
                raise FailedPreconditionError("MODEL_ADOPTED", "this model decides, or is the one to go back to")
            run = await models.read_run(writer, kept.name)
            if run is None or run.is_finished or run.against != deciding:
                await models.begin_run(writer, kept.name, deciding, moment)
                run = await models.read_run(writer, kept.name)
            response = await writer.answer(models_pb2.ShadowModelResponse(run=_run(run)))
        self.means.wake()
        return response

    async def ListFlips(self, request: models_pb2.ListFlipsRequest, call: Call) -> models_pb2.ListFlipsResponse:
        """Who would join and part, in pages."""
        size = request.page_size or DEFAULT_PAGE
        query = ("flips", request.name, request.kind)
        after = self.means.pages.read(request.page_token, *query) or _FIRST_FLIP
        async with self.means.database.reading(snapshot=True) as reader:
            await _known(reader, request.name)
            found = await models.list_flips(reader, request.name, request.kind, after, size + 1)
        shown = found[:size]
        for one in shown:
            call.touch(registration=one.registration_id)
            call.touch(registration=one.other_id)
        last = shown[-1] if len(found) > size else None
        position = (last.change, last.registration_id, last.other_id) if last else None
        return models_pb2.ListFlipsResponse(
            flips=map(_flip, shown), next_page_token=self.means.pages.write(position, *query) if position else ""
        )

    async def ApproveModel(
        self, request: models_pb2.ApproveModelRequest, call: Call
    ) -> models_pb2.ApproveModelResponse:
        """Another's word for a model whose effects are known."""
        caller = call.caller.subject
        async with self.means.database.writing(call) as writer:
            await writer.lock(models.LOCK)
            kept = await _known(writer, request.name)
            run = await models.read_run(writer, request.name)
            if run is None or not run.is_finished or run.against != await _deciding(writer):
                raise FailedPreconditionError(
                    "MODEL_UNSCORED", "a model is scored against the one that decides before it is approved"
                )
            if kept.registered_by == caller:
                raise FailedPreconditionError("MODEL_YOURS", "who registered a model does not approve it")
            await models.approve(writer, request.name, caller, request.reason, self.means.clock())
            kept = await _known(writer, request.name)
            return await writer.answer(models_pb2.ApproveModelResponse(model=await self._told(writer, kept)))

    async def AdoptModel(self, request: models_pb2.AdoptModelRequest, call: Call) -> models_pb2.AdoptModelResponse:
        """Switches, or goes back to one that decided before."""
        moment = self.means.clock()
        async with self.means.database.writing(call) as writer:
            await writer.lock(models.LOCK)
            kept = await _known(writer, request.name)
            deciding = await _deciding(writer)
            is_return = kept.name == _BROUGHT.name or await models.was_adopted(writer, kept.name)
            if not kept.approved_by and not is_return:
                raise FailedPreconditionError("MODEL_UNAPPROVED", "a model is approved by another before it decides")
            reviews = 0
            if kept.name != deciding:
                reviews = await models.adopt(writer, kept.name, deciding, call.caller.subject, request.reason, moment)
            response = models_pb2.AdoptModelResponse(
                model=await self._told(writer, kept), previous=deciding, reviews=reviews
            )
            response = await writer.answer(response)
        await self.means.read_model()
        return response

    async def _told(self, reader: Reader, kept: KeptModel) -> models_pb2.MatchingModel:
        run = await models.read_run(reader, kept.name)
        return models_pb2.MatchingModel(
            name=kept.name,
            definition=kept.definition,
            registered_by=kept.registered_by,
            registered_at=wire.timestamp_of(kept.registered_at) if kept.registered_at else None,
            reason=kept.reason,
            is_adopted=kept.name == await _deciding(reader),
            approved_by=kept.approved_by,
            run=_run(run) if run else None,
        )


async def _deciding(reader: Reader) -> str:
    name, _ = await models.adopted(reader)
    return name or _BROUGHT.name


async def _known(reader: Reader, name: str) -> KeptModel:
    if name == _BROUGHT.name:
        return _BROUGHT
    found = await models.read_models(reader, name) if name else []
    if not found:
        raise NotFoundError("MODEL_UNKNOWN", "there is no such model")
    return found[0]


def _run(run: Run | None) -> models_pb2.ShadowRun | None:
    if run is None:
        return None
    return models_pb2.ShadowRun(
        is_finished=run.is_finished,
        against=run.against,
        scored=run.scored,
        registrations=run.registrations,
        joins=run.joins,
        parts=run.parts,
        started_at=wire.timestamp_of(run.started_at),
        updated_at=wire.timestamp_of(run.updated_at),
    )


def _flip(flip: ListedFlip) -> models_pb2.Flip:
    return models_pb2.Flip(
        kind=models_pb2.FlipKind.ValueType(flip.kind),
        registration_id=flip.registration_id,
        other_registration_id=flip.other_id,
        grade_before=resources_pb2.MatchGrade.ValueType(flip.grade_before),
        grade_after=resources_pb2.MatchGrade.ValueType(flip.grade_after),
        weight_before=flip.weight_before,
        weight_after=flip.weight_after,
    )
