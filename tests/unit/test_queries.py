"""Named statements, as they are read from their files."""

import pytest

from sunseo.postgres.queries import load_cold_queries, load_queries, parse_queries

SCRIPT = """\
-- A file may say something of its own first.

-- name: find_one
-- Find one.
SELECT 1 -- not a line of purpose
FROM dual;

-- name: find_two
-- Find two,
-- with a comment of two lines.
SELECT 2;
"""


def test_statements_are_found_by_name() -> None:
    """The purpose stays in the file; the name travels along, to be read in the server's logs."""
    assert dict(parse_queries(SCRIPT, "here")) == {
        "find_one": "/* find_one */ SELECT 1 -- not a line of purpose\nFROM dual",
        "find_two": "/* find_two */ SELECT 2",
    }


def test_a_name_stands_once() -> None:
    """The second of two statements of one name would silently replace the first."""
    with pytest.raises(ValueError, match="here names find_one twice"):
        parse_queries(SCRIPT + SCRIPT, "here")


def test_a_statement_says_what_it_is_for() -> None:
    """A name without a line of purpose is refused."""
    with pytest.raises(ValueError, match="here does not say what find_one is for"):
        parse_queries("-- name: find_one\nSELECT 1;", "here")


@pytest.mark.parametrize("package", ["sunseo.booking", "sunseo.checkout", "sunseo.journal"])
def test_the_house_own_files_can_be_read(package: str) -> None:
    """Each capability's hot and cold statements are there, and none can be changed by mistake."""
    queries = load_queries(package)
    assert queries
    assert load_cold_queries(package)
    with pytest.raises(TypeError):
        queries["more"] = "SELECT 1"  # type: ignore[index]  # just that is tried here
