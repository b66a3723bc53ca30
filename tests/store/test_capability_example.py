"""The capability that CONTRIBUTING shows is a whole one: it answers as it is written there."""

import json
import re
from pathlib import Path
from types import ModuleType

from sqlalchemy import text

from sunseo.identity.authenticator import Authenticator
from sunseo.identity.operator_keys import OperatorKeys, new_operator_key
from sunseo.identity.persons import Persons
from sunseo.operators.command import OperatorCommands
from sunseo.postgres.pool import create_cold_engine
from sunseo.telemetry.lines import LineWriter
from sunseo.telemetry.logs import Logs
from sunseo.telemetry.metrics import Metrics
from sunseo.web.app import build_app
from sunseo.web.limits import Limits
from tests.asgi import ask

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"
KEY = new_operator_key()


def the_example() -> ModuleType:
    found = re.findall(r"```python\n(.*?)```", CONTRIBUTING.read_text("utf-8"), re.DOTALL)
    (source,) = [block for block in found if "class Notes(Capability)" in block]
    module = ModuleType("notes")
    exec(source, module.__dict__)  # noqa: S102 - our own document
    return module


async def test_the_example_of_a_capability_works_as_it_is_written(database_dsn: str) -> None:
    """A note is left once a key and audited once, and another one under the key is refused."""
    engine = create_cold_engine(database_dsn)

    async def digest_of(key_id: str) -> bytes | None:
        return KEY.digest if key_id == KEY.key_id else None

    app = build_app(
        the_example().Notes(OperatorCommands(engine, 1)).endpoints(),
        Authenticator(Persons(1, []), OperatorKeys(digest_of)),
        limits=Limits(),
        metrics=Metrics(),
        logs=Logs("error", LineWriter(-1)),
    )
    headers = {
        "Authorization": f"Bearer {KEY.text}",
        "Idempotency-Key": "one",
        "Content-Type": "application/json",
    }
    notes = ["Doors open at six", "Doors open at six", "Doors open at seven", " "]
    bodies = [json.dumps({"text": note}).encode() for note in notes]
    answers = [await ask(app, "POST", "/v1/notes", body, headers=headers) for body in bodies]
    async with engine.connect() as connection:
        counted = text("SELECT count(*) FROM audit_log WHERE action = 'leave_note'")
        audited = (await connection.execute(counted)).scalar_one()
    await engine.dispose()

    assert [(answer.status, answer.json.get("outcome")) for answer in answers] == [
        (201, None),
        (200, None),
        (409, "key_reused"),
        (422, "invalid_field"),
    ]
    assert answers[0].json == answers[1].json == {"text": "Doors open at six"}
    assert audited == 1
