"""Every named statement is used, and every name that is used is a statement."""

import ast
import re
from pathlib import Path

from sunseo.postgres.queries import load_queries
from tests.tidy.sources import SOURCE, files, nodes, shown


def scripts() -> list[Path]:
    return [
        path for path in files(".sql", under=("src",)) if path.name in {"queries.sql", "cold.sql"}
    ]


def names_of(script: Path) -> set[str]:
    package = f"sunseo.{script.parent.relative_to(SOURCE).as_posix().replace('/', '.')}"
    return set(load_queries(package, script.name))


def spoken_in(folder: Path) -> tuple[set[str], list[re.Pattern[str]]]:
    """The string constants in the code of a folder, and patterns of its f-strings."""
    words: set[str] = set()
    patterns: list[re.Pattern[str]] = []
    for path in files(".py", under=("src",)):
        if not path.is_relative_to(folder):
            continue
        for node in nodes(path, ast.Constant, ast.JoinedStr):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                words |= {node.value, node.value.replace("-", "_")}  # as invariants are named
            if isinstance(node, ast.JoinedStr):
                parts = [
                    re.escape(str(part.value)) if isinstance(part, ast.Constant) else "[a-z_]+"
                    for part in node.values
                ]
                if len(parts) > 1 and re.match("[a-z]+_", parts[0]):
                    patterns.append(re.compile("".join(parts)))
    return words, patterns


def test_every_named_statement_is_used() -> None:
    """What nobody beside its script asks any more is dropped, with the plans that it would need."""
    unused = []
    for script in scripts():
        words, patterns = spoken_in(script.parent)
        unused += [
            f"{shown(script)}: {name}"
            for name in names_of(script)
            if name not in words and not any(pattern.fullmatch(name) for pattern in patterns)
        ]
    assert not unused


def test_every_name_in_use_is_a_statement() -> None:
    """A name that is looked up among statements is found there: before it is run."""
    known = {name for script in scripts() for name in names_of(script)}
    unknown = []
    for path in files(".py", under=("src",)):
        for node in nodes(path, ast.Subscript):
            assert isinstance(node, ast.Subscript)
            if not isinstance(node.value, ast.Name) or not isinstance(node.slice, ast.Constant):
                continue
            if re.fullmatch(r"_?(?:\w+_)?(?:QUERIES|COLD)", node.value.id) and (
                node.slice.value not in known
            ):
                unknown.append(f"{shown(path)}:{node.lineno} {node.slice.value!r}")
    assert not unknown
    assert len(known) > 40
