"""The guide of installing: its role, database and commands work as written."""

import re
from datetime import date
from pathlib import Path

import pytest

from sunseo.postgres.embedded import EmbeddedServer
from tests.docs.pages import ROOT, blocks_of, text_of
from tests.docs.test_operator import run
from tests.postgres_fixture import dsn_of, execute, query

GUIDE = "docs/guides/install.md"
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
DAYS_KO = ["월요일", "화요일", "수요일", "목요일", "금요일", "토요일", "일요일"]


def test_a_database_of_ones_own_is_set_up_as_written(
    postgres_server: EmbeddedServer, tmp_path: Path
) -> None:
    """An ordinary role that owns an empty database is all that is needed."""
    administrator, commands = blocks_of(GUIDE)
    created = administrator.text.strip().split("\n")
    try:
        execute(postgres_server, *created)
        # The embedded server lets in nobody but by her own name: its role acts as the new one.
        execute(
            postgres_server,
            "GRANT sunseo_app TO sunseo",
            "ALTER ROLE sunseo IN DATABASE sunseo_app SET role = 'sunseo_app'",
        )
        url = dsn_of(postgres_server, "sunseo_app")
        (tmp_path / "etc").mkdir()
        settings = f'database_url = "{url}"\nsecret = "{"0123456789abcdef" * 2}"\n'
        (tmp_path / "etc/sunseo.toml").write_text(settings)

        said = run(commands.text, tmp_path)

        assert "The schema is current." in said
        assert "Clean: " in said
        owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
        assert [tuple(row) for row in query(url, owners)] == [("sunseo_app",)]
    finally:
        execute(postgres_server, "DROP DATABASE IF EXISTS sunseo_app", "DROP ROLE sunseo_app")


def test_every_package_of_the_checkout_is_installed() -> None:
    """Whoever installs as written has each package that another one needs."""
    [command] = re.findall(r"^\S+/pip install (.*)$", text_of(GUIDE), re.MULTILINE)
    packages = sorted(path.parent for path in (ROOT / "packages").glob("*/pyproject.toml"))

    named = [f"/opt/sunseo/{path.relative_to(ROOT)}" for path in packages]
    assert command.split() == [*named, "/opt/sunseo"]


PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_day_of_the_week_is_that_of_its_date(page: Path) -> None:
    """An occasion called Friday is on a Friday, in either language."""
    found = re.findall(
        r'"name": "(\w+)", "starts_at": "(\d{4}-\d\d-\d\d)T', page.read_text("utf-8")
    )

    for name, day in found:
        weekday = date.fromisoformat(day).weekday()
        named = [names.index(name) for names in (DAYS, DAYS_KO) if name in names]
        assert named in ([], [weekday]), (name, day)


def test_what_security_says_is_still_to_come_is_not_here_already() -> None:
    """A page that lags behind sends people to build what they have."""
    assert "still to come" not in text_of("SECURITY.md")
