"""Styles and scripts, served from memory under names that change with their content."""

from hashlib import sha256
from importlib.resources import files

import msgspec

from sunseo.room.pages import sentences
from sunseo.web.documents import UNCHANGED, is_known
from sunseo.web.endpoint import Answer, Call, Endpoint, Header, Reply, Urgency
from sunseo.web.problems import NO_SUCH_PATH, ProblemError

FOLDER = "/assets/room"
SCRIPT_PATH = "/sunseo.js"
FILES = ("page.css", "page.js", "sunseo.js")
SENTENCES = "sentences.js"  # which is written out of the table

_TYPES = {"css": b"text/css; charset=utf-8", "js": b"text/javascript; charset=utf-8"}
_NOSNIFF: Header = (b"x-content-type-options", b"nosniff")
_FOR_EVER: Header = (b"cache-control", b"public, max-age=31536000, immutable")
# On other people's pages the script has one address for all versions: they get a new one soon.
_FOR_MINUTES: Header = (b"cache-control", b"public, max-age=300")


class Asset(msgspec.Struct, frozen=True):
    """One file."""

    name: str
    content: bytes
    digest: str

    @property
    def path(self) -> str:
        stem, _, kind = self.name.rpartition(".")
        return f"{FOLDER}/{stem}.{self.digest}.{kind}"

    @property
    def media(self) -> Header:
        return (b"content-type", _TYPES[self.name.rpartition(".")[2]])


class Assets:
    """All files of the pages, read once."""

    def __init__(self) -> None:
        folder = files("sunseo.room.pages") / "static"
        self._by_path: dict[str, Asset] = {}
        self._by_name: dict[str, Asset] = {}
        contents = {name: (folder / name).read_bytes() for name in FILES}
        contents[SENTENCES] = sentences.script()
        for name, content in contents.items():
            asset = Asset(name, content, sha256(content).hexdigest()[:16])
            self._by_name[name] = self._by_path[asset.path] = asset

    def path_of(self, name: str) -> str:
        return self._by_name[name].path

    async def read(self, call: Call) -> Answer:
        asset = self._by_path.get(f"{FOLDER}/{call.path['file']}")
        if asset is None:
            raise ProblemError(NO_SUCH_PATH)
        return Reply(200, asset.content, (asset.media, _FOR_EVER, _NOSNIFF))

    async def read_script(self, call: Call) -> Answer:
        script = self._by_name["sunseo.js"]
        etag = f'"{script.digest}"'
        headers = (script.media, _FOR_MINUTES, _NOSNIFF, (b"etag", etag.encode()))
        if is_known(call, etag):
            return Reply(304, None, headers[1:])
        return Reply(200, script.content, headers)


def asset_endpoints(assets: Assets) -> list[Endpoint]:
    return [
        Endpoint(
            name="read_room_asset",
            method="GET",
            path=FOLDER + "/{file:str}",
            summary="A style or script of the waiting page",
            description="The name holds a hash of the content, so that it may be kept for ever.",
            handler=assets.read,
            urgency=Urgency.JOIN,
            media=("text/css", "text/javascript"),
        ),
        Endpoint(
            name="read_room_script",
            method="GET",
            path=SCRIPT_PATH,
            summary="The script that guards a button on any page",
            handler=assets.read_script,
            urgency=Urgency.JOIN,
            media=("text/javascript",),
            answers=UNCHANGED,
            cross_origin=True,
        ),
    ]
