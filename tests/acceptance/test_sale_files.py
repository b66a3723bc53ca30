"""Files of sales against a real server: made, sold from, changed, exported, cut off."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sunseo.salefile.model import KINDS
from tests.acceptance.serving import Serving, running, token
from tests.command_line import Ended, Run


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with running(tmp_path_factory.mktemp("files") / "data") as one:
        yield one


@pytest.fixture
def sale(server: Serving, command_line: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `sunseo sale`, with a key and the server's address where they are asked for."""
    monkeypatch.setenv("OPERATOR_KEY", server.create_key())

    def run(*words: str) -> Ended:
        where = () if words[0] == "init" else ("--url", server.url)
        return command_line("sale", *words, *where)

    return run


def test_each_example_applies_and_sells_as_written(
    server: Serving, sale: Run, tmp_path: Path
) -> None:
    """Made once, bought from, exported without a difference; a wrong file does nothing."""
    for kind in KINDS:
        file = tmp_path / f"{kind}.toml"
        file.write_text(sale("init", kind, "--lang", "ko").out)
        before = server.ask("GET", "/v1/sales", bearer=_key(server)).json["sales"]
        unasked = sale("apply", str(file))
        dry = sale("apply", str(file), "--dry-run")
        after = server.ask("GET", "/v1/sales", bearer=_key(server)).json["sales"]
        made = sale("apply", str(file), "--yes")
        number = server.ask("GET", "/v1/sales", bearer=_key(server)).json["sales"][0]["sale"]
        again = sale("apply", str(file))
        (tmp_path / "exported.toml").write_text(sale("export", str(number)).out)
        exported = sale("apply", str(tmp_path / "exported.toml"))
        body = {"products": [{"product": 1}]}
        held = server.ask("POST", f"/v1/sales/{number}/holds", body, bearer=token(kind))
        bought = server.ask(
            "POST", f"/v1/sales/{number}/orders", {"hold": held.json["hold"]}, bearer=token(kind)
        )

        assert (unasked.code, dry.code, before) == (2, 0, after), unasked
        assert made.code == 0, made
        assert again.out == exported.out == f"Sale {number} is as the file says.\n"
        assert bought.json["state"] == "confirmed"
        assert sale("check", str(number)).code == 0


def test_an_apply_that_was_cut_off_is_finished_by_the_next(
    server: Serving, sale: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the sale and its seats were made and nothing else, the rest alone is added."""
    file = tmp_path / "sale.toml"
    file.write_text(sale("init", "concert").out)

    def cut(*_: object) -> object:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("sunseo.salefile.apply._Steps.add_stocks", cut)
        assert sale("apply", str(file), "--yes").code != 0
    finished = sale("apply", str(file), "--yes")
    changed = file.read_text().replace("capacity = 300", "capacity = 310")
    file.write_text(changed.replace("person = 6 ", "person = 5 "))
    refused = sale("apply", str(file))
    file.write_text(changed)

    assert "seats" not in finished.out
    assert "stock 'Standing, Friday'" in finished.out
    assert (refused.code, "limits.person: 6 → 5" in refused.out) == (1, True)
    assert "capacity: 300 → 310" in sale("apply", str(file), "--dry-run").out
    assert sale("apply", str(file)).code == 0
    assert sale("apply", str(file)).out.endswith("is as the file says.\n")


def test_a_wrong_file_is_told_and_nothing_is_done(
    server: Serving, sale: Run, tmp_path: Path
) -> None:
    """Exit code 2, with line and column."""
    file = tmp_path / "sale.toml"
    file.write_text(sale("init", "coupon").out.replace("capacity", "capasity"))
    before = server.ask("GET", "/v1/sales", bearer=_key(server)).json
    told = sale("apply", str(file), "--yes")

    assert told.code == 2
    assert "there is no key 'capasity' here. Right would be: capacity." in told.err
    assert server.ask("GET", "/v1/sales", bearer=_key(server)).json == before


def _key(server: Serving) -> str:
    return server.create_key()
