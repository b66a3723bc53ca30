"""The HTTP face of draws: steps for operators, status and file for everybody."""

from typing import Any

import msgspec

from sunseo.operators.effects import EffectAnswer
from sunseo.room.draw.bodies import (
    DrawQuery,
    DrawStatus,
    DrawStep,
    NewCommitment,
    Reveal,
    Withholding,
)
from sunseo.room.draw.file import MEDIA_TYPE
from sunseo.room.draw.outcomes import DRAW_OUTCOMES, DrawOutcome
from sunseo.room.draw.published import PublishedDraws
from sunseo.room.draw.store import DrawStore
from sunseo.web.documents import UNCHANGED, is_known
from sunseo.web.endpoint import (
    Answer,
    Auth,
    BodyStream,
    Call,
    Endpoint,
    Handler,
    Refusal,
    Reply,
    Urgency,
)

STATUS_MAX_AGE_S = 2  # it counts on while people register; a cache may stand in front


def draw_endpoints(store: DrawStore) -> list[Endpoint]:
    handlers = DrawHandlers(store, PublishedDraws(store))
    return [
        _step("commit_draw", "commit", "Commit to a secret", handlers.commit, NewCommitment),
        _step("seal_draw", "seal", "End registration and publish the list's hash", handlers.seal),
        _step("reveal_draw", "reveal", "Reveal the secret and draw", handlers.reveal, Reveal),
        _step(
            "withhold_draw",
            "withhold",
            "Log that the secret was not revealed",
            handlers.withhold,
            Withholding,
        ),
        Endpoint(
            name="read_draw",
            method="GET",
            path="/v1/rooms/{room:int}/draw",
            summary="Read how a draw stands: its commitment, counts and log",
            handler=handlers.status,
            response=DrawStatus,
            query=DrawQuery,
            outcomes=(DrawOutcome.UNKNOWN_ROOM, DrawOutcome.NO_DRAW),
            urgency=Urgency.POLL,
            cross_origin=True,
        ),
        Endpoint(
            name="read_draw_file",
            method="GET",
            path="/v1/rooms/{room:int}/draw/file",
            summary="Download the published draw, to check it",
            handler=handlers.file,
            query=DrawQuery,
            media=(MEDIA_TYPE.decode(),),
            answers=UNCHANGED,
            outcomes=(DrawOutcome.UNKNOWN_ROOM, DrawOutcome.NO_DRAW, DrawOutcome.NOT_SEALED),
            urgency=Urgency.POLL,
            cross_origin=True,
            description="Gzipped text: the sealed list before the secret is revealed, and the "
            "numbers with it afterwards.",
        ),
    ]


def _step(
    name: str,
    verb: str,
    summary: str,
    handler: Handler,
    request: type[msgspec.Struct] | None = None,
) -> Endpoint:
    return Endpoint(
        name=name,
        method="POST",
        path=f"/v1/rooms/{{room:int}}/draw/{verb}",
        summary=summary,
        handler=handler,
        request=request,
        response=DrawStep,
        outcomes=DRAW_OUTCOMES,
        auth=Auth.OPERATOR,
        idempotent_key=True,
    )


class DrawHandlers:
    def __init__(self, store: DrawStore, published: PublishedDraws) -> None:
        self._store = store
        self._published = published

    async def commit(self, call: Call) -> Answer:
        return _reply(await self._store.commit(*_who_and_which(call), call.body))

    async def seal(self, call: Call) -> Answer:
        return _reply(await self._store.seal(*_who_and_which(call)))

    async def reveal(self, call: Call) -> Answer:
        return _reply(await self._store.reveal(*_who_and_which(call), call.body))

    async def withhold(self, call: Call) -> Answer:
        return _reply(await self._store.withhold(*_who_and_which(call), call.body))

    async def status(self, call: Call) -> Answer:
        found = await self._store.status(call.path["room"], call.query.epoch)
        if isinstance(found, DrawOutcome):
            return Refusal(found)
        cached = f"public, max-age={STATUS_MAX_AGE_S}".encode()
        return Reply(200, found, ((b"cache-control", cached),))

    async def file(self, call: Call) -> Answer:
        room = call.path["room"]
        found = await self._published.find(room, call.query.epoch)
        if isinstance(found, DrawOutcome):
            return Refusal(found)
        etag = f'"{found.digest}"'
        headers: tuple[tuple[bytes, bytes], ...] = (
            (b"content-type", MEDIA_TYPE),
            (b"cache-control", b"public, max-age=60"),
            (b"etag", etag.encode()),
            (b"content-disposition", f'attachment; filename="draw-{room}.gz"'.encode()),
        )
        if is_known(call, etag):
            return Reply(304, None, headers)
        return Reply(200, BodyStream(found.parts(), found.size), headers)


def _who_and_which(call: Call) -> tuple[str, str, int]:
    return call.operator, call.idempotency_key, call.path["room"]


def _reply(answer: EffectAnswer) -> Answer:
    if not answer.outcome.kind.is_success:
        return Refusal(answer.outcome, answer.detail)
    result: Any = answer.result
    return Reply(None, msgspec.convert(result, DrawStep), outcome=answer.outcome)
