"""One meaning a word, and the field's words."""

import ast
import re
from collections import defaultdict

import pytest

from tests.tidy.sources import files, nodes, shown

SAME_ROLE = {
    "WaitingRoomMiddleware",  # by ASGI and by WSGI: a site imports one of them
}
GIVEN_UP = {
    "crossing": "cors",
    "patrol": "in-flight limiter",
    "complaints": "log throttle",
    "mould": "preloaded fork server",
    "courier": "sender",
    "watcher": "poller",
    "hall": "inventory",
    "doors": "room access",
    "mourn": "report end",
    "heed": "note answer",
    "hurry": "flush now",
    "forgive": "forget failures",
    "under_way": "in_flight",
    "scenery": "setup",
    "venue": "connection",
    "crew": "drivers",
    "sights": "observations",
}


def test_no_two_public_classes_share_a_name() -> None:
    """Who reads a name in a log, a traceback or a review knows which class it is."""
    homes = defaultdict(list)
    for path in files(".py", under=("src",)):
        for node in nodes(path, ast.ClassDef):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(shown(path))
    shared = {name: at for name, at in homes.items() if len(at) > 1 and name not in SAME_ROLE}
    assert not shared


@pytest.mark.parametrize("word", GIVEN_UP)
def test_no_name_says_what_was_given_up(word: str) -> None:
    """A newcomer finds the word that she brought along."""
    pattern = re.compile(rf"(^|_){word}(_|$)")
    kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    found = [
        f"{shown(path)}: {node.name}"
        for path in files(".py", under=("src",))
        for node in nodes(path, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(node, kinds)
        and pattern.search(re.sub(r"(?<!^)(?=[A-Z])", "_", node.name).lower())
    ]
    found += [shown(path) for path in files(".py", under=("src",)) if path.stem == word]
    assert not found, f"it is {GIVEN_UP[word]} now"
