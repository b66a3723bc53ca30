"""The site that a stand-alone room protects, started beside the rehearsal and asked at its end.

State       STARTED, then STOPPED.
Guarantee   It ends with the block, and with this process.
Clock       None of its own.
On failure  A ServerError says what it said last.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec

from sunseo.rehearsal.target.server import ServerError
from sunseo.rehearsal.target.site_app import TALLY, SiteConfig, Tally

READY_S, POLL_S, STOP_S = 60.0, 0.1, 10.0


class SiteProcess:
    """
    Attributes:
        url: where the guarded site is.
        pid: of its process.
    """

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self.pid = pid

    async def tally(self) -> Tally:
        """What has come through to the site.

        Raises:
            aiohttp.ClientError: it does not answer.
        """
        async with aiohttp.ClientSession() as session, session.get(self.url + TALLY) as response:
            return msgspec.json.decode(await response.read(), type=Tally)


@asynccontextmanager
async def open_site(terms: SiteConfig, log: Path) -> AsyncIterator[SiteProcess]:
    """Start the site, wait until it answers, and stop it in the end.

    Raises:
        ServerError: it did not start.
    """
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "sunseo.rehearsal.target.site_app",
            stdin=subprocess.PIPE,
            stdout=errors,
            stderr=errors,
            start_new_session=True,  # Ctrl-C is for us; we stop it when the crowd is out
        )
    if process.stdin is not None:
        process.stdin.write(msgspec.json.encode(terms))
        process.stdin.close()
    site_process = SiteProcess(f"http://127.0.0.1:{terms.port}", process.pid)
    try:
        await _await_ready(site_process, process, log)
        yield site_process
    finally:
        await _stop(process)


async def _await_ready(
    site_process: SiteProcess, process: asyncio.subprocess.Process, log: Path
) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.returncode is None:
        try:
            await site_process.tally()
        except aiohttp.ClientError:
            await asyncio.sleep(POLL_S)
        else:
            return
    raise ServerError(f"the site did not start: {_last_words(log)}")


def _last_words(log: Path) -> str:
    lines = log.read_text("utf-8", errors="replace").splitlines()
    return lines[-1] if lines else "it said nothing"


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
