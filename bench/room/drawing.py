"""How long a draw of very many takes: drawn and checked by programs, and sealed at a server.

The programs are timed from their start to their end, with their highest memory; the server's steps
as an operator would wait for them, on a database in which all have registered.
"""

import asyncio
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import psutil

from bench.contenders import ROOT
from bench.room.database import ORGANISATION, ROOM
from bench.room.figures import Figure
from bench.room.session import DATABASE, Bench
from sunseo.operators.command import By, EffectAnswer, OperatorCommands
from sunseo.postgres.pool import create_cold_engine
from sunseo.room.draw.bodies import NewCommitment, Reveal
from sunseo.room.draw.published import PublishedDraws, PublishedFile
from sunseo.room.draw.rules import (
    ENTRANT_BYTES,
    commitment_of,
    new_secret,
    numbers_of,
    seal,
    seed_of,
)
from sunseo.room.postgres.draws import PostgresDraws

DRAW_S = 8.0
VERIFY_S = 60.0
MEGABYTE = 1_000_000
SAMPLE_S = 0.02
OPERATOR = "bench"
FILL_SECONDS_MAX = 600

RANDOM_MODE = """
UPDATE rooms SET settings = settings || '{"mode":"random"}', version = version + 1 WHERE room = $1
"""
ENTRANTS = """
INSERT INTO room_entrants (organisation, room, epoch, holder, entrant, binding, registered_at)
SELECT 1, $1::bigint, 1, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), clock_timestamp()
FROM generate_series(1, $2::bigint)
"""
REGISTERED = "UPDATE room_lines SET entrants = $2 WHERE room = $1"

T = TypeVar("T")


class Program(NamedTuple):
    """How a program ran."""

    seconds: float
    peak_mb: float
    said: str


async def measure_draw(bench: Bench) -> list[Figure]:
    named = f"{bench.entrants:,} entrants"
    bench.console.print(f"  the rules in this process, then the programs, for {named}")
    found = [await asyncio.to_thread(time_rules, bench.entrants, named)]
    found += await asyncio.to_thread(time_programs, bench, named)
    found += await time_server(bench, named)
    return found


def time_rules(total: int, named: str) -> Figure:
    entrants = [secrets.token_bytes(ENTRANT_BYTES) for _ in range(total)]
    secret = new_secret()
    began = time.perf_counter()
    sealed = seal(entrants)
    numbers = numbers_of(seed_of(1, 1, secret, sealed.list_hash, sealed.total), sealed.entrants)
    seconds = time.perf_counter() - began
    if len(numbers) != total:
        raise RuntimeError("the draw has left somebody out")
    return Figure(
        section="draw",
        name=f"list sealed and numbers drawn, {named}",
        unit="s",
        value=seconds,
        at_most=DRAW_S,
    )


def time_programs(bench: Bench, named: str) -> list[Figure]:
    """`sunseo draw run` writes the published file; the verifier, of other code, checks it."""
    folder = bench.folder / "draw"
    folder.mkdir(parents=True, exist_ok=True)
    ids, secret, file = folder / "ids.txt", folder / "secret.txt", folder / "draw.gz"
    secret.unlink(missing_ok=True)
    ids.write_text(
        "".join(f"{secrets.token_hex(ENTRANT_BYTES)}\n" for _ in range(bench.entrants)), "ascii"
    )
    sunseo = [sys.executable, "-m", "sunseo"]
    run_program([*sunseo, "draw", "secret", str(secret)])
    drawn = run_program([*sunseo, "draw", "run", str(secret), str(ids), str(file)])
    checked = run_program([sys.executable, "-m", "sunseo.drawcheck", "--json", str(file)])
    if json.loads(checked.said)["verdict"] != "valid":
        raise RuntimeError(f"the draw is not valid: {checked.said}")
    sized = f"its file has {file.stat().st_size / MEGABYTE:.1f} MB"
    return [
        _program(f"`sunseo draw run`, file and all, {named}", drawn, DRAW_S, sized),
        _program(f"`python -m sunseo.drawcheck`, {named}", checked, VERIFY_S),
    ]


def run_program(command: Sequence[str]) -> Program:
    """Run a program to its end and watch its memory.

    Raises:
        RuntimeError: it failed, and this is what it said.
    """
    began = time.perf_counter()
    peak = 0
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        watched = psutil.Process(child.pid)
        while child.poll() is None:
            try:
                peak = max(peak, watched.memory_info().rss)
            except psutil.NoSuchProcess:
                break
            time.sleep(SAMPLE_S)
        said = child.communicate()[0]
        seconds = time.perf_counter() - began
    if child.returncode != 0:
        raise RuntimeError(f"{command} ended with {child.returncode}: {said}")
    return Program(seconds, peak / MEGABYTE, said)


def _program(name: str, ran: Program, seconds_max: float, note: str = "") -> Figure:
    memory = f"{ran.peak_mb:,.0f} MB at its highest"
    return Figure(
        section="draw",
        name=name,
        unit="s",
        value=ran.seconds,
        at_most=seconds_max,
        note=f"{memory}; {note}" if note else memory,
        details={"peak_mb": round(ran.peak_mb, 1)},
    )


async def time_server(bench: Bench, named: str) -> list[Figure]:
    """Seal and reveal as the operator's endpoints do, then write the published file."""
    url = await bench.database.clone_rooms(DATABASE)
    async with bench.database.connected(DATABASE) as conn:
        await conn.execute(RANDOM_MODE, ROOM)
        await conn.execute(ENTRANTS, ROOM, bench.entrants, timeout=FILL_SECONDS_MAX)
        await conn.execute(REGISTERED, ROOM, bench.entrants)
    engine = create_cold_engine(url)
    try:
        draws = PostgresDraws(engine, OperatorCommands(engine, ORGANISATION))
        secret = new_secret()
        commitment = NewCommitment(commitment_of(secret).hex(), "the benchmark", independent=False)
        _done(await draws.commit(By(OPERATOR, "commit"), ROOM, commitment))
        sealing, answer = await timed(draws.seal(By(OPERATOR, "seal"), ROOM))
        _done(answer)
        revealing, answer = await timed(
            draws.reveal(By(OPERATOR, "reveal"), ROOM, Reveal(secret.hex()))
        )
        _done(answer)
        publishing, file = await timed(PublishedDraws(draws).find(ROOM, None))
        if not isinstance(file, PublishedFile):
            raise TypeError(f"no file is published: {file}")
        path = bench.folder / "draw" / "published.gz"
        await save(file, path)
    finally:
        await engine.dispose()
    checked = await asyncio.to_thread(
        run_program, [sys.executable, "-m", "sunseo.drawcheck", "--json", str(path)]
    )
    if json.loads(checked.said)["verdict"] != "valid":
        raise RuntimeError(f"the server's draw is not valid: {checked.said}")
    steps = {
        "sealed": sealing,
        "revealed, with all places given": revealing,
        "its published file written": publishing,
    }
    found = [
        Figure(section="draw", name=f"at the server: {step}, {named}", unit="s", value=seconds)
        for step, seconds in steps.items()
    ]
    whole = Figure(
        section="draw",
        name=f"at the server: sealed and revealed, {named}",
        unit="s",
        value=sealing + revealing,
        at_most=DRAW_S,
        note="on a durable PostgreSQL, which stores a place for each; checked afterwards",
    )
    return [whole, *found]


async def save(file: PublishedFile, path: Path) -> None:
    with path.open("wb") as out:
        async for part in file.parts():
            out.write(part)


async def timed(doing: Awaitable[T]) -> tuple[float, T]:
    began = time.perf_counter()
    done = await doing
    return time.perf_counter() - began, done


def _done(answer: EffectAnswer) -> None:
    if not answer.outcome.kind.is_success:
        raise RuntimeError(f"refused: {answer}")
