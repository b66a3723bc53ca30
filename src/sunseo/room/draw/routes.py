"""The HTTP face of draws: steps for operators, status and file for everybody."""

import msgspec

from sunseo.core.outcome import Refusal
from sunseo.operators.replies import by_of, reply
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
from sunseo.room.store import DrawStore
from sunseo.web.documents import UNCHANGED, is_known
from sunseo.web.endpoint import Answer, Auth, BodyStream, Call, Endpoint, Handler, Reply, Urgency

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
        return reply(await self._store.commit(by_of(call), call.path["room"], call.body), DrawStep)

    async def seal(self, call: Call) -> Answer:
        return reply(await self._store.seal(by_of(call), call.path["room"]), DrawStep)

    async def reveal(self, call: Call) -> Answer:
        return reply(await self._store.reveal(by_of(call), call.path["room"], call.body), DrawStep)

    async def withhold(self, call: Call) -> Answer:
        return reply(
            await self._store.withhold(by_of(call), call.path["room"], call.body), DrawStep
        )

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
