"""`sunseo verify` as people and programs meet it: output, exit code, and its guide."""

import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from sunseo.invariants.command import run_verify
from sunseo.invariants.entries import INVARIANTS, Scope
from sunseo.invariants.report import NotChecked, Report
from sunseo.invariants.screen import render
from sunseo.invariants.verify import OUT_OF_TIME, VerifyLimits
from tests.store.shop import ORGANISATION, open_shop

GUIDE = Path(__file__).parents[2] / "docs/guides/verify.md"


@pytest.fixture(autouse=True)
def _wide_and_plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb")


async def test_a_clean_database_is_told_as_json(
    database_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report is the only thing on standard output, and the exit code is 0."""
    async with open_shop(database_dsn) as shop:
        await shop.open_sale()
    code = await run_verify(database_dsn, ORGANISATION, None, as_json=True)

    written = capsys.readouterr()
    report = json.loads(written.out)
    seconds = report.pop("seconds")
    assert code == 0
    assert written.err == ""
    assert report == {
        "clean": True,
        "organisation": ORGANISATION,
        "sales": 1,
        "checked": [invariant.name for invariant in INVARIANTS],
        "violations": [],
        "not_checked": [],
    }
    assert 0 < seconds < 60


async def test_a_violation_is_told_as_json(
    database_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A program gets the rows at fault, column by column, and exit code 1."""
    async with open_shop(database_dsn) as shop:
        sale = await shop.open_sale()
        await shop.corrupt("UPDATE seats SET occasion = 9 WHERE seat = 3")
    code = await run_verify(database_dsn, ORGANISATION, [sale], as_json=True)

    (violation,) = json.loads(capsys.readouterr().out)["violations"]
    assert code == 1
    assert violation == {
        "invariant": "sale-parts",
        "sale": sale,
        "sentence": next(i.sentence for i in INVARIANTS if i.name == "sale-parts"),
        "rows": [{"part": "seat", "number": 3, "names": "occasion", "missing": 9}],
        "total": 1,
    }


async def test_a_violation_is_shown_to_people(
    database_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table says which invariant is violated, and the rows at fault stand below it."""
    async with open_shop(database_dsn) as shop:
        sale = await shop.open_sale()
        await shop.corrupt(
            "UPDATE seats SET occasion = 9 + seat", "UPDATE operator_effects SET result = NULL"
        )
    limits = VerifyLimits(rows_max=2)
    code = await run_verify(database_dsn, ORGANISATION, None, as_json=False, limits=limits)

    lines = capsys.readouterr().out.splitlines()
    assert code == 1
    assert not any("stock-counters" in line for line in lines)
    assert next(line for line in lines if "sale-parts" in line).split()[3:6:2] == ["VIOLATED", "25"]
    at = lines.index(next(line for line in lines if line.startswith("sale-parts in")))
    assert lines[at].startswith(f"sale-parts in sale {sale}: Seats, stocks and draws name only")
    assert lines[at + 1 : at + 4] == [
        "  part=seat, number=1, names=occasion, missing=10",
        "  part=seat, number=2, names=occasion, missing=11",
        "  … and 23 more",
    ]
    assert any(line.startswith("operator-effects in the organisation: ") for line in lines)
    assert re.fullmatch(r"NOT clean: 2 invariants violated \(\d+\.\d s\)", lines[-1])


async def test_a_clean_verdict_is_shown_to_people(
    database_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of it is the verdict, unless `--all` asks for a table of what was asked for."""
    async with open_shop(database_dsn) as shop:
        sale = await shop.open_sale()
    assert await run_verify(database_dsn, ORGANISATION, [sale], as_json=False) == 0
    short = capsys.readouterr().out.split("\n")
    code = await run_verify(database_dsn, ORGANISATION, [sale], as_json=False, whole=True)

    lines = capsys.readouterr().out.splitlines()
    asked = sum(invariant.scope is Scope.SALE for invariant in INVARIANTS)
    assert code == 0
    assert sum("holds" in line.split() for line in lines if line.startswith("│")) == asked
    assert not any("audit-log-chain" in line for line in lines)
    assert (short[0], short[1].split(" (")[0], short[2:]) == ("", lines[-1].split(" (")[0], [""])
    assert re.fullmatch(rf"Clean: {asked} invariants hold in 1 sale \(\d+\.\d s\)", lines[-1])


async def test_what_was_not_checked_has_its_own_exit_code(
    database_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a violation, but not all of it checked, the exit code is 2."""
    limits = VerifyLimits(snapshot_s=0.0)
    async with open_shop(database_dsn) as shop:
        await shop.open_sale()
    code = await run_verify(database_dsn, ORGANISATION, None, as_json=False, limits=limits)

    lines = capsys.readouterr().out.splitlines()
    assert code == 2
    assert f"stock-counters was not checked in 1 sale: {OUT_OF_TIME}" in lines
    assert f"known-sales was not checked: {OUT_OF_TIME}" in lines
    assert re.fullmatch(r"NOT clean: not everything could be checked \(\d+\.\d s\)", lines[-1])


async def test_an_unknown_sale_is_told_on_standard_error(
    database_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sale that does not exist is named, nothing is printed as a report, and the code is 2."""
    code = await run_verify(database_dsn, ORGANISATION, [7], as_json=True)

    assert (code, *capsys.readouterr()) == (
        2,
        "",
        "Organisation 1 has no sale 7. Nothing was checked.\n",
    )


async def test_a_database_that_cannot_be_reached_is_told_on_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a server the code is 2, and no password is repeated."""
    dsn = f"postgresql://sunseo:s3cret@/sunseo?host={tmp_path}"
    code = await run_verify(dsn, ORGANISATION, None, as_json=True)

    written = capsys.readouterr()
    assert (code, written.out) == (2, "")
    assert written.err.startswith("The database could not be asked: ")
    assert "s3cret" not in written.err


async def test_a_database_without_our_tables_is_told_on_standard_error(
    database_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the schema is missing, nothing is said to be clean."""
    async with open_shop(database_dsn) as shop:
        await shop.corrupt("ALTER TABLE sales RENAME TO shops")
    code = await run_verify(database_dsn, ORGANISATION, None, as_json=False)

    written = capsys.readouterr()
    assert (code, written.out) == (2, "")
    assert 'relation "sales" does not exist' in written.err


def test_markup_in_data_is_shown_as_it_is() -> None:
    """Square brackets in what the database says are no styling of ours."""
    reason = "invalid input syntax for type json: [bold]"
    report = Report(
        clean=False,
        organisation=1,
        sales=1,
        checked=[],
        violations=[],
        not_checked=[NotChecked("journal-seats", [1], reason)],
        seconds=0.1,
    )
    console = Console(width=120)
    with console.capture() as captured:
        console.print(render(report))

    assert reason in captured.get()


def test_the_guide_lists_every_invariant() -> None:
    """The guide names each invariant with its sentence, in the order of the list, and no other."""
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", GUIDE.read_text("utf-8"), re.MULTILINE)
    told = [(name, sentence) for name, sentence in rows if "-" in name]

    assert told == [(invariant.name, invariant.sentence) for invariant in INVARIANTS]


def test_the_guide_tells_every_field_of_the_report() -> None:
    """Whoever reads the JSON finds each of its fields in the guide."""
    guide = GUIDE.read_text("utf-8")

    assert [field for field in Report.__struct_fields__ if f"`{field}`" not in guide] == []
