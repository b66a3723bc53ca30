"""Timing of comparisons: nothing that guards is compared byte by byte until the first that differs.

Read from the sources: `==` and `!=` on anything that is called a secret, token, tag, MAC, digest,
signature, binding or credential is a finding, unless it is listed here with its reason.
"""

import ast
import re
from pathlib import Path

from tests.tidy.sources import SOURCE, files, shown, tree

GUARDS = re.compile(
    r"(?:^|_)(?:secret|token|tag|mac|mac16|hmac|digest|signature|binding|credential|password|"
    r"sealed|signed)$"
)
NO_SECRETS = {"request_digest"}  # tells whether a repeated request is the same one

PUBLIC = {
    ("room/admission/altcha.py", "_digest(salt, number) == challenge.challenge"): (
        "whoever solves a challenge compares with what she was shown"
    ),
    ("postgres/pipelined/segments.py", "answers[-1].tag != COMMIT"): (
        "the server's word for what a statement did"
    ),
    ("room/postgres/draws.py", "commitment_of(secret) != draw.commitment"): (
        "an operator reveals what she committed to; the commitment is published"
    ),
}

GUARDED = {
    "backup/kept_secrets.py": "the secrets of a backup beside those of the settings",
    "core/signing.py": "tokens, state documents, cookies of the fail mode",
    "identity/operator_keys.py": "operator keys",
    "identity/persons.py": "persons' tokens behind known headers",
    "room/line/service.py": "a place's secret",
    "room/pages/cookies.py": "the tokens of forms",
    "gate/policy.py": "the operators' way past a gate",
    "room/admission/altcha.py": "proofs of work",
}


def names_of(node: ast.AST) -> set[str]:
    """What one side of a comparison is called, or what goes into its call."""
    match node:
        case ast.Name():
            return {node.id} - NO_SECRETS
        case ast.Attribute():
            return {node.attr} - NO_SECRETS
        case ast.Call():
            return {name for part in (node.func, *node.args) for name in names_of(part)}
        case ast.Subscript():
            return names_of(node.value)
        case ast.JoinedStr() | ast.FormattedValue():
            return {name for part in ast.iter_child_nodes(node) for name in names_of(part)}
        case _:
            return set()


def findings(path: Path) -> list[tuple[str, str]]:
    found = []
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.Compare):
            continue
        if not all(isinstance(operator, ast.Eq | ast.NotEq) for operator in node.ops):
            continue
        sides = [node.left, *node.comparators]
        if any(isinstance(side, ast.Constant) for side in sides):
            continue  # `signature == "ed25519"`: the name of a thing, not the thing
        if any(_is_length(side) for side in sides):
            continue
        if any(GUARDS.search(name.lower()) for side in sides for name in names_of(side)):
            found.append((path.relative_to(SOURCE).as_posix(), ast.unparse(node)))
    return found


def _is_length(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "len"


def test_timing_of_comparisons_tells_nothing() -> None:
    """Secrets, tokens, tags and signatures are compared by `hmac.compare_digest` only."""
    found = {
        one
        for path in files(".py", under=("src",))
        if "drawcheck" not in path.parts  # a stranger's verifier has nothing to guard
        for one in findings(path)
    }
    assert not found - set(PUBLIC)
    assert set(PUBLIC) <= found, "an exception that nothing needs any more"


def test_what_guards_is_compared_in_constant_time() -> None:
    """Where a guess could be tried, the comparison is the one that takes the same time."""
    for name in GUARDED:
        source = (SOURCE / name).read_text("utf-8")
        assert "hmac.compare_digest(" in source, name


def test_the_finder_finds() -> None:
    """So that the tests above mean something."""
    bad = ast.parse("token == expected_token\nif body.secret != secret: pass\nmac16(k, m) == tag")
    compared = [node for node in ast.walk(bad) if isinstance(node, ast.Compare)]
    assert len(compared) == 3
    assert all(
        any(GUARDS.search(name) for side in (one.left, *one.comparators) for name in names_of(side))
        for one in compared
    )
    assert shown(SOURCE / "core" / "signing.py") == "src/sunseo/core/signing.py"
