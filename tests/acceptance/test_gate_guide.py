"""The guide's programs run as they stand there."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sunseo.auth_request import read_options
from sunseo.gate import asgi
from sunseo.gate.options import GateOptions
from sunseo.gate.policy import BypassRules
from tests.acceptance.gate_sites import django_apps
from tests.gate_room import ROOM, Room

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "gate.md").read_text("utf-8")


def shown(language: str, containing: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    [found] = [block for block in blocks if containing in block]
    return str(found)


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Gate keys, as a file where the guide's programs run."""
    written = msgspec.json.encode(Room().keys)
    (tmp_path / "gate-keys.json").write_bytes(written)
    monkeypatch.chdir(tmp_path)
    return written


def test_fastapi_program_builds_a_guarded_app(keys: bytes) -> None:
    """`add_middleware` makes the gate with the options shown."""
    names: dict[str, Any] = {}
    exec(shown("python", "FastAPI()"), names)  # noqa: S102 - the guide's own words

    stack: Any = names["app"].build_middleware_stack()
    while not isinstance(stack, asgi.WaitingRoomMiddleware):
        stack = stack.app
    assert stack.core.room == ROOM
    assert stack.core.options.protect == ("/buy",)


def test_django_program_builds_a_guarded_app(keys: bytes) -> None:
    """The application that servers load is the gate."""
    django_apps()  # sets Django up, as a project's settings would
    names: dict[str, Any] = {"KEYS": keys}
    exec(shown("python", "get_asgi_application()"), names)  # noqa: S102 - as above

    assert isinstance(names["application"], asgi.WaitingRoomMiddleware)


def test_options_of_the_verifier_are_read(keys: bytes, tmp_path: Path) -> None:
    """The TOML of the guide is what `sunseo gate` takes."""
    (tmp_path / "gate.toml").write_text(shown("toml", "keys_file"), "utf-8")
    options = read_options(tmp_path / "gate.toml")

    assert options.keys == Room().keys
    assert options.bypass.paths == ("/static",)
    assert options.addresses().page_url == "https://rooms.example/r/42"


def test_every_option_and_reason_is_described() -> None:
    """What can be set has a row; what a refusal may say has a word."""
    options = GUIDE.split("## Options")[1].split("**Bypass.**")[0]
    for name in GateOptions.__struct_fields__:
        assert re.search(rf"^\|[^|]*`{name}`", options, re.MULTILINE), name
    for name in BypassRules.__struct_fields__:
        assert f"{name}=" in GUIDE
    reasons = "no_pass expired revoked epoch room key signature kind version malformed"
    assert all(f"`{reason}`" in GUIDE for reason in reasons.split())
