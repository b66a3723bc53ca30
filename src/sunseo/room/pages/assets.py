"""The waiting page's styles and scripts, one of which other people's pages use as well."""

from importlib.resources import files

from sunseo.html.assets import NOSNIFF, Assets
from sunseo.room.pages import sentences
from sunseo.web.documents import UNCHANGED, is_known
from sunseo.web.endpoint import Answer, Call, Endpoint, Header, Reply, Urgency

FOLDER = "/assets/room"
SCRIPT_PATH = "/sunseo.js"
FILES = ("page.css", "page.js", "sunseo.js")
SENTENCES = "sentences.js"  # which is written out of the table

# On other people's pages the script has one address for all versions: they get a new one soon.
_FOR_MINUTES: Header = (b"cache-control", b"public, max-age=300")


def room_assets() -> Assets:
    """All files of the pages, read once."""
    folder = files("sunseo.room.pages") / "static"
    contents = {name: (folder / name).read_bytes() for name in FILES}
    return Assets(FOLDER, {**contents, SENTENCES: sentences.script()})


def asset_endpoints(assets: Assets) -> list[Endpoint]:
    script = assets.named("sunseo.js")

    async def read_script(call: Call) -> Answer:
        etag = f'"{script.digest}"'
        headers = (script.media, _FOR_MINUTES, NOSNIFF, (b"etag", etag.encode()))
        if is_known(call, etag):
            return Reply(304, None, headers[1:])
        return Reply(200, script.content, headers)

    return [
        assets.endpoint("read_room_asset", "A style or script of the waiting page"),
        Endpoint(
            name="read_room_script",
            method="GET",
            path=SCRIPT_PATH,
            summary="The script that guards a button on any page",
            handler=read_script,
            urgency=Urgency.JOIN,
            media=("text/javascript",),
            answers=UNCHANGED,
            cross_origin=True,
        ),
    ]
