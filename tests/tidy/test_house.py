"""The house police: what reviews would have to say again and again."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import sunseo
from sunseo.core.outcome import Kind, Outcome
from sunseo.core.version import VERSION
from tests.tidy.sources import ROOT, SOURCE, files, nodes, shown, tree

LINES_MAX = 450
FOLDER_MAX = 16

# Long files that are tables of cases, or one story of one machine, which splitting would hide.
LONG = {
    "tests/store/test_invariants_violated.py": "one corruption for each invariant",
    "src/sunseo/room/pages/texts.py": "every text of the pages, one language beside the other",
    "src/sunseo/drawcheck/verifier.py": "one file that a stranger copies out and reads",
}

OF_BYTES = {"src/sunseo/web/limits.py"}  # whose `isdigit` knows ASCII only

REASONED = re.compile(
    r"#\s*noqa: [A-Z]+\d+(?:, [A-Z]+\d+)* - \w.*"
    r"|#\s*type: ignore\[[a-z-]+(?:, ?[a-z-]+)*\]\s+# \w.*"
    r"|#\s*ruff: noqa: [A-Z]+\d+(?:, [A-Z]+\d+)* - \w.*"
)
SILENCER = re.compile(r"#\s*(?:ruff: )?(?:noqa|type: ignore)\b")
LEFT_OVER = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX|HA" + r"CK)\b")
SQL = re.compile(
    r"^\s*(?:SELECT\s|INSERT INTO\s|UPDATE\s+\w+\s+SET\s|DELETE FROM\s|WITH\s+\w+\s+AS\s*\()"
)


def lines_with(pattern: re.Pattern[str], *suffixes: str) -> Iterator[tuple[str, str]]:
    for path in files(*suffixes):
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if pattern.search(line):
                yield f"{shown(path)}:{number}", line


def test_every_silenced_lint_says_why() -> None:
    """A `noqa` or `type: ignore` names its rule and carries its reason."""
    police = shown(Path(__file__))
    silent = [
        where
        for where, line in lines_with(SILENCER, ".py")
        if not REASONED.search(line) and not where.startswith(police)
    ]
    assert not silent


def test_nothing_is_left_for_later() -> None:
    """What is to be done stands in the issues, not in the code."""
    assert not [where for where, _ in lines_with(LEFT_OVER, ".py", ".sql", ".toml", ".md")]


def test_no_file_is_too_long() -> None:
    """A file that nobody can hold in mind is split, or is one of the few that are tables."""
    lengths = {
        shown(path): len(path.read_text("utf-8").splitlines()) for path in files(".py", ".sql")
    }
    long = {name for name, length in lengths.items() if length > LINES_MAX}
    assert {name for name in long if not name.endswith(".sql")} <= set(LONG)


def test_no_folder_is_too_full() -> None:
    """What lies side by side can be taken in at a glance; migrations alone are a long row."""
    beside = Counter(path.parent for path in files(".py", under=("src",)))
    full = {shown(folder): count for folder, count in beside.items() if count > FOLDER_MAX}
    assert not {name for name in full if not name.endswith("/versions")}


def test_files_do_not_reach_for_the_rug() -> None:
    """No `utils`, `helpers`, `common` or `manager`: such a name says nothing of what is inside."""
    forbidden = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
    assert not [shown(path) for path in files(".py") if path.stem in forbidden]


def test_imports_point_only_downward() -> None:
    """The contracts between the layers of the house are kept."""
    checked = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout


LOOSE = re.compile(r"(?<!\\)(?:\\\\)*\\[dwDW]")
LOOSE_TESTS = {"isdigit", "isdecimal", "isnumeric", "isalnum", "isalpha"}


def _texts(path: Path) -> Iterator[ast.Constant]:
    """The texts of a file but for those that only document it."""
    prose = {node.value for node in nodes(path, ast.Expr) if isinstance(node, ast.Expr)}
    for node in nodes(path, ast.Constant):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in prose:
            yield node


def test_patterns_name_the_characters_that_they_take() -> None:
    """No pattern asks for digits or word characters of all scripts, where it means ours."""
    assert all(LOOSE.search(text) for text in (r"\d", r"[\w-]", r"\\\d", r"^\D$"))
    assert not any(LOOSE.search(text) for text in ("d", r"\\d", r"\s", "[0-9]"))
    assert not [
        f"{shown(path)}:{text.lineno}"
        for path in files(".py", under=("src",))
        for text in _texts(path)
        if LOOSE.search(str(text.value))
    ]


def test_digits_are_asked_for_in_ascii() -> None:
    """What is true of digits that `int` or a database may not take stands beside `isascii`."""
    found = []
    for path in files(".py", under=("src",)):
        if shown(path) in OF_BYTES:
            continue
        lines = path.read_text("utf-8").splitlines()
        found += [
            f"{shown(path)}:{node.lineno}"
            for node in nodes(path, ast.Attribute)
            if isinstance(node, ast.Attribute) and node.attr in LOOSE_TESTS
            if "isascii()" not in lines[node.lineno - 1]
        ]
    assert not found


def test_no_statement_is_put_together_from_strings() -> None:
    """SQL of the product stands in .sql files; not one f-string or format call begins like SQL."""
    found = []
    for path in files(".py", under=("src",)):
        for node in nodes(path, ast.JoinedStr, ast.Call, ast.BinOp):
            text = _template(node)
            if text is not None and SQL.search(text):
                found.append(f"{shown(path)}:{node.lineno}")  # type: ignore[attr-defined]  # expressions have lines
    assert not found


def _template(node: ast.AST) -> str | None:
    """The text of an f-string, of `"…".format(…)` and of `"…" % …`, with its holes left out."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(p.value) if isinstance(p, ast.Constant) else "x" for p in node.values)
    left: ast.AST | None = None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        left = node.left
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        left = node.func.value if node.func.attr == "format" else None
    return left.value if isinstance(left, ast.Constant) and isinstance(left.value, str) else None


def test_every_test_says_in_one_sentence_what_it_sees() -> None:
    """A test's docstring is its claim: it begins on the first line and ends that in a full stop."""
    silent = []
    for path in files(".py", under=("tests",)):
        for node in nodes(path, ast.FunctionDef, ast.AsyncFunctionDef):
            assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            if not node.name.startswith("test_") or not path.stem.startswith("test_"):
                continue
            claim = ast.get_docstring(node)
            if not claim or not claim.split("\n\n")[0].rstrip().endswith((".", "?", "!")):
                silent.append(f"{shown(path)}:{node.lineno} {node.name}")
    assert not silent


def test_modules_with_concurrency_open_with_an_essay() -> None:
    """Who starts tasks says what is guaranteed, and what happens on failure."""
    starters = {"create_task", "ensure_future", "create_subprocess_exec", "Thread"}
    silent = []
    for path in files(".py", under=("src",)):
        calls = {
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            for node in nodes(path, ast.Call)
            if isinstance(node, ast.Call)
        }
        essay = ast.get_docstring(tree(path)) or ""
        if calls & starters and not all(word in essay for word in ("Guarantee", "On failure")):
            silent.append(shown(path))
    assert not silent


def all_outcomes() -> list[type[Outcome]]:
    for module in pkgutil.walk_packages(sunseo.__path__, "sunseo."):
        if "migrations" not in module.name and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return list(Outcome.__subclasses__())


@pytest.mark.parametrize("outcomes", all_outcomes(), ids=lambda outcomes: outcomes.__name__)
def test_every_outcome_has_a_kind_and_a_sentence(outcomes: type[Outcome]) -> None:
    """Each answer says what it means to a caller, and says so to the person who asked."""
    assert len(outcomes) > 0
    for outcome in outcomes:
        assert isinstance(outcome.kind, Kind)
        assert re.fullmatch(r"[A-Z].*\.", outcome.sentence), outcome
        assert outcome.code == outcome.name.lower()


def test_no_two_outcomes_of_one_name_differ_in_kind() -> None:
    """A client that knows `replayed` from one endpoint knows it from all of them."""
    kinds: dict[str, set[Kind]] = {}
    for outcomes in all_outcomes():
        for outcome in outcomes:
            kinds.setdefault(outcome.code, set()).add(outcome.kind)
    assert not {code: found for code, found in kinds.items() if len(found) > 1}


def test_no_package_owns_the_name() -> None:
    """Several packages share `sunseo`: it has no `__init__.py`, and all have one version."""
    projects = [ROOT / "pyproject.toml", *(ROOT / "packages").glob("*/pyproject.toml")]
    versions = [tomllib.loads(path.read_text("utf-8"))["project"]["version"] for path in projects]
    assert not (SOURCE / "__init__.py").exists()
    assert versions == [VERSION, VERSION]


@pytest.mark.parametrize("folder", [".", "core", "passes", "gate"])
def test_the_packages_are_typed_for_others(folder: str) -> None:
    """Who builds on Sunseo gets its types; where packages share a name, each folder says so."""
    assert (SOURCE / folder / "py.typed").exists()
