"""The repository's own files, as the house police reads them."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "sunseo"
CODE = ("src", "tests", "bench")


@cache
def files(*suffixes: str, under: tuple[str, ...] = CODE) -> tuple[Path, ...]:
    """Files by suffix. Git is not asked: it refuses to answer in a clone of another user."""
    found = (path for folder in under for path in sorted((ROOT / folder).rglob("*")))
    return tuple(
        path for path in found if path.suffix in suffixes and "__pycache__" not in path.parts
    )


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def nodes(path: Path, *kinds: type[ast.AST]) -> Iterator[ast.AST]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, kinds))
