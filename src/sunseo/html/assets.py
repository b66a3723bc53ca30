"""Styles and scripts, served from memory under names that change with their content."""

from collections.abc import Mapping
from hashlib import sha256

import msgspec

from sunseo.web.endpoint import Answer, Call, Endpoint, Header, Reply, Urgency
from sunseo.web.problems import NO_SUCH_PATH, ProblemError

_TYPES = {"css": b"text/css; charset=utf-8", "js": b"text/javascript; charset=utf-8"}
NOSNIFF: Header = (b"x-content-type-options", b"nosniff")
_FOR_EVER: Header = (b"cache-control", b"public, max-age=31536000, immutable")


class Asset(msgspec.Struct, frozen=True):
    """One file, in a folder of addresses."""

    folder: str
    name: str
    content: bytes
    digest: str

    @property
    def path(self) -> str:
        stem, _, kind = self.name.rpartition(".")
        return f"{self.folder}/{stem}.{self.digest}.{kind}"

    @property
    def media(self) -> Header:
        return (b"content-type", _TYPES[self.name.rpartition(".")[2]])


class Assets:
    """All files of one capability's pages.

    Args:
        folder: of their addresses, for instance `/assets/room`.
        contents: by their names.
    """

    def __init__(self, folder: str, contents: Mapping[str, bytes]) -> None:
        self._folder = folder
        self._by_path: dict[str, Asset] = {}
        self._by_name: dict[str, Asset] = {}
        for name, content in contents.items():
            asset = Asset(folder, name, content, sha256(content).hexdigest()[:16])
            self._by_name[name] = self._by_path[asset.path] = asset

    def named(self, name: str) -> Asset:
        return self._by_name[name]

    async def read(self, call: Call) -> Answer:
        asset = self._by_path.get(f"{self._folder}/{call.path['file']}")
        if asset is None:
            raise ProblemError(NO_SUCH_PATH)
        return Reply(200, asset.content, (asset.media, _FOR_EVER, NOSNIFF))

    def endpoint(self, name: str, summary: str) -> Endpoint:
        return Endpoint(
            name=name,
            method="GET",
            path=self._folder + "/{file:str}",
            summary=summary,
            description="The name holds a hash of the content, so that it may be kept for ever.",
            handler=self.read,
            urgency=Urgency.JOIN,
            media=("text/css", "text/javascript"),
        )
