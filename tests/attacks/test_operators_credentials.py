"""Default and weak credentials: of operators, of the server, of gates."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from sunseo.gate.policy import BypassRules
from sunseo.identity.operator_keys import KEY
from sunseo.settings import SECRET_FILE, Settings, SettingsError, load_settings
from sunseo.supervisor import secret_of
from tests.acceptance.serving import Serving
from tests.attacks.attacker import Wire, create_room, token

GUESSES = (
    "",
    "admin",
    "operator",
    "sunseo",
    "sunseo_admin",
    "sunseo_aaaaaaaaaa_" + "A" * 43,
    "sunseo_demo_demo",
    "null",
    "undefined",
    "' OR 1=1 --",
    "x" * 8000,
)
ENDPOINTS: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/v1/rooms", {"name": "Mine"}),
    ("GET", "/v1/rooms", None),
    ("PATCH", "/v1/rooms/{room}", {"settings": {"capacity": 1_000_000}}),
    ("GET", "/v1/rooms/{room}", None),
    ("GET", "/v1/rooms/{room}/keys", None),
    ("POST", "/v1/rooms/{room}/pause", None),
    ("POST", "/v1/rooms/{room}/resume", None),
    ("POST", "/v1/rooms/{room}/close", None),
    ("POST", "/v1/rooms/{room}/reset", {"epoch": 1}),
    ("POST", "/v1/rooms/{room}/revoke", {"pass_id": "0f8fad5b-d9cb-469f-a165-70867728950e"}),
    ("POST", "/v1/rooms/{room}/signals", {"source": "x", "measured": 1.0, "target": 1.0}),
    ("POST", "/v1/rooms/{room}/draw/commit", {}),
    ("POST", "/v1/rooms/{room}/draw/seal", {}),
    ("POST", "/v1/rooms/{room}/draw/reveal", {}),
)


def test_no_operators_door_opens_without_a_key(server: Serving, operator: str, wire: Wire) -> None:
    """Without a key, with a person's token, with a key that is edited or of another id."""
    room = create_room(server, operator)
    edited = operator[:-1] + ("A" if operator[-1] != "A" else "B")
    other_id = "sunseo_" + "b" * 10 + operator[17:]
    persons = token("operator")
    before = server.ask("GET", f"/v1/rooms/{room}", bearer=operator).json
    for (method, path, body), bearer in product(ENDPOINTS, (None, persons, edited, other_id)):
        target = path.format(room=room)
        headers = {"idempotency-key": "guess"}
        answer = wire.ask(method, target, body, bearer, headers)
        wanted = 403 if bearer == persons else 401
        assert answer.status == wanted, (method, target, bearer, answer)
        assert "pass_key" not in answer.body.decode()
    assert server.ask("GET", f"/v1/rooms/{room}", bearer=operator).json == before


@pytest.mark.parametrize("guess", GUESSES)
def test_default_and_guessed_keys_open_nothing(server: Serving, guess: str, wire: Wire) -> None:
    """There is no key but those that were made; nothing short of 256 bits is even looked up."""
    answer = wire.ask("GET", "/v1/rooms", None, None, {"authorization": f"Bearer {guess}"})
    assert answer.status in (401, 431)
    assert KEY.fullmatch(guess) is None or answer.status == 401


@pytest.mark.parametrize("weak", ["short", "x" * 31], ids=["short", "one character short"])
@pytest.mark.parametrize("name", ["SECRET", "JWT_SECRET", "RETIRED_SECRETS"])
def test_server_does_not_start_with_a_weak_secret(name: str, weak: str) -> None:
    """Too short for whichever use."""
    value = json.dumps({"3": weak}) if name == "RETIRED_SECRETS" else weak
    environment = {f"SUNSEO_{name}": value, "SUNSEO_JWT_ISSUER": "https://tickets.example"}
    with pytest.raises(SettingsError):
        load_settings(environment)


def test_there_is_no_default_secret() -> None:
    """A server on a database of its own must be given one; an embedded one makes its own."""
    assert Settings().secret is None
    with pytest.raises(SettingsError, match="secret"):
        load_settings({"SUNSEO_DATABASE_URL": "postgresql://localhost/sunseo"})


def test_made_secrets_differ_and_are_nobody_elses_to_read(tmp_path: Path) -> None:
    """What a server makes for itself is random, and its file is for its owner alone."""
    made = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        made.append(secret_of(Settings(data=folder)))
        assert (folder / SECRET_FILE).stat().st_mode & 0o077 == 0
    assert made[0] != made[1]
    assert min(len(secret) for secret in made) >= 32


@pytest.mark.parametrize("weak", ["", "operator", "x" * 31])
def test_gate_does_not_start_with_a_weak_way_past_it(weak: str) -> None:
    """The operators' secret of a gate has 32 characters, or there is none."""
    with pytest.raises(ValueError, match="operator_secret"):
        BypassRules(operator_secret=weak)
