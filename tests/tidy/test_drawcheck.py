"""The verifier of draws stays independent: a stranger can copy one file out and read it."""

import ast
import sys

from tests.tidy.sources import SOURCE, nodes


def test_verifier_imports_nothing_but_the_standard_library() -> None:
    """Nothing of Sunseo, and no package that would have to be installed."""
    found = set()
    for node in nodes(SOURCE / "drawcheck" / "verifier.py", ast.Import, ast.ImportFrom):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found.add(str(node.module).partition(".")[0])
        elif isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}

    assert found <= sys.stdlib_module_names


def test_package_around_the_verifier_adds_only_its_command() -> None:
    """`python -m sunseo.drawcheck` runs the file, and there is no other code beside it."""
    folder = SOURCE / "drawcheck"
    imported = [
        (node.level, node.module)
        for name in ("__init__.py", "__main__.py")
        for node in nodes(folder / name, ast.ImportFrom)
        if isinstance(node, ast.ImportFrom)
    ]

    assert sorted(path.name for path in folder.glob("*.py")) == [
        "__init__.py",
        "__main__.py",
        "verifier.py",
    ]
    assert imported == [(1, "verifier")]


def test_drawing_side_does_not_use_the_verifier() -> None:
    """Rules and file of a draw know nothing of it: an error in one is not repeated in the other."""
    for name in ("rules.py", "file.py"):
        modules = [
            node.module
            for node in nodes(SOURCE / "room" / "draw" / name, ast.ImportFrom)
            if isinstance(node, ast.ImportFrom)
        ]
        assert not [module for module in modules if module and "drawcheck" in module]
