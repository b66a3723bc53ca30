"""Operator keys: named once, listed, taken back, and all of it in the audit log."""

import asyncio
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from sunseo.cli.main import app
from sunseo.identity.operator_keys import OperatorKeys
from sunseo.operators.keys import KeyFinder, KeyNameError, create_key, list_keys, revoke_key
from tests.store.market import ORGANISATION, Market


async def noted(market: Market) -> list[Any]:
    rows = await market.rows("SELECT actor, action, details FROM audit_log ORDER BY entry")
    return [(actor, action, msgspec.json.decode(details)) for actor, action, details in rows]


@pytest.mark.parametrize("name", ["", " ", "\t", " desk", "desk ", "de\nsk", "e\u0301", "x" * 201])
async def test_a_name_that_says_nothing_is_refused(market: Market, name: str) -> None:
    """No key is made, and nothing stands in the audit log."""
    with pytest.raises(KeyNameError, match="name"):
        await create_key(market.engine, ORGANISATION, name)

    assert await list_keys(market.engine, ORGANISATION) == []
    assert await noted(market) == []


async def test_of_two_who_make_one_name_at_once_one_is_refused(market: Market) -> None:
    """Names tell keys apart, in the audit log and when one is taken back."""
    made = await asyncio.gather(
        *(create_key(market.engine, ORGANISATION, "desk") for _ in range(2)), return_exceptions=True
    )

    assert [type(one) for one in made if not isinstance(one, str)] == [KeyNameError]
    assert [key.name for key in await list_keys(market.engine, ORGANISATION)] == ["desk"]
    assert len(await noted(market)) == 1


async def test_a_key_that_was_taken_back_works_no_more_and_frees_its_name(market: Market) -> None:
    """Within the seconds that a worker remembers it: told by name, once, with an audit entry."""
    now = [0.0]
    keys = OperatorKeys(KeyFinder(market.engine, ORGANISATION).find, monotonic=lambda: now[0])
    text = await create_key(market.engine, ORGANISATION, "desk")
    key_id = text.split("_")[1]
    assert await keys.verify(text) == key_id

    gone = await revoke_key(market.engine, ORGANISATION, "desk")
    again = await revoke_key(market.engine, ORGANISATION, key_id)
    now[0] = 5.0

    assert await keys.verify(text) is None
    assert gone == again
    assert gone.revoked_at is not None
    await create_key(market.engine, ORGANISATION, "desk")
    told = {"key_id": key_id, "name": "desk"}
    assert (await noted(market))[:2] == [
        ("command line", "create_key", told),
        ("command line", "revoke_key", told),
    ]
    assert len(await noted(market)) == 3


async def test_a_key_is_replaced_in_one_step(market: Market) -> None:
    """The old one is taken back and a new one has its name, or neither."""
    for _ in range(2):
        await create_key(market.engine, ORGANISATION, "desk", replace=True)

    kept = await list_keys(market.engine, ORGANISATION)
    assert [(key.name, key.revoked_at is None) for key in kept] == [("desk", False), ("desk", True)]
    assert [action for _, action, _ in await noted(market)] == [
        *("create_key", "revoke_key", "create_key"),
    ]


async def test_which_key_is_meant_is_never_guessed(market: Market) -> None:
    """An unknown name, and one that two keys of an older version have: neither is taken back."""
    for name in ("one", "two"):
        await create_key(market.engine, ORGANISATION, name)
    await market.rows("UPDATE operator_keys SET name = 'twin'")
    before = await list_keys(market.engine, ORGANISATION)

    for named, said in (("nobody", "there is no key"), ("twin", before[0].key_id)):
        with pytest.raises(KeyNameError, match=said):
            await revoke_key(market.engine, ORGANISATION, named)
    assert await list_keys(market.engine, ORGANISATION) == before

    await revoke_key(market.engine, ORGANISATION, before[1].key_id)
    after = await list_keys(market.engine, ORGANISATION)
    assert [key.revoked_at is None for key in after] == [True, False]


def test_keys_are_made_listed_and_revoked_by_command(
    database_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines for people tell id, day, state and name, and never a key."""
    monkeypatch.setenv("SUNSEO_DATABASE_URL", database_dsn)
    monkeypatch.setenv("SUNSEO_SECRET", "x" * 32)

    def run(*words: str) -> str:
        ended = CliRunner().invoke(app, ["keys", *words])
        assert ended.exit_code == 0, ended.output
        return ended.stdout.strip()

    key_id = run("create", "box office").split("_")[1]
    listed = run("list").split()
    gone = run("revoke", "box office").split()

    assert (listed[0], listed[2:]) == (key_id, ["works", "box", "office"])
    assert (gone[0], gone[1], gone[3:]) == (key_id, "revoked", ["box", "office"])
    assert '"revoked_at":"20' in run("list", "--json")
