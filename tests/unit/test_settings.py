"""Settings: what is wrong is said with the place where it stands."""

from pathlib import Path

import pytest

from sunseo.settings import SECRET_FILE, Settings, SettingsError, load_settings
from sunseo.supervisor import secret_of


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("prot = 80", "there is no such setting in {}: prot (did you mean port?)"),
        ("database-url = 'x'", "database-url (did you mean database_url?)"),
        ("PORT = 80", "PORT (did you mean port?)"),
        ("xyzzy = 1", "there is no such setting in {}: xyzzy"),
        ("[server]\nport = 1", "there is no such setting in {}: server"),
        ("port = 70000", "port in {}: Expected `int` <= 65535"),
        ("workers = 'two'", "workers in {}: Expected `int`, got `str`"),
        ("workers = [1]", "workers in {}: Expected `int`, got `array`"),
        ("secret = 'short'", "secret in {}: Expected `str` of length >= 32"),
        ("retired_secrets = { '1' = 'x' }", "retired_secrets in {}: Expected `str` of length"),
        ("jwt_issuer = 'me'", "stand together (set: jwt_issuer in {})"),
        ("port = ", "{} is not TOML: "),
    ],
)
def test_a_wrong_file_is_named_with_the_setting(tmp_path: Path, content: str, said: str) -> None:
    """One line: the file, the setting, and the nearest right name or what would be right."""
    file = tmp_path / "sunseo.toml"
    file.write_text(content)

    with pytest.raises(SettingsError) as refused:
        load_settings({}, file)

    assert said.format(file) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SUNSEO_PROT", "80", "in the environment: SUNSEO_PROT (did you mean SUNSEO_PORT?)"),
        ("SUNSEO_PORT", "70000", "settings: SUNSEO_PORT: Expected `int` <= 65535"),
        ("SUNSEO_JWT_ISSUER", "me", "(set: SUNSEO_JWT_ISSUER)"),
    ],
)
def test_a_wrong_variable_is_named_as_it_is_written(variable: str, value: str, said: str) -> None:
    """It is the variable that is to be changed, so that is the name that is told."""
    with pytest.raises(SettingsError) as refused:
        load_settings({variable: value})

    assert said in str(refused.value)


def test_what_counts_is_what_is_told(tmp_path: Path) -> None:
    """An option that overrides a good file is named, not the file; a secret is not told."""
    file = tmp_path / "sunseo.toml"
    file.write_text("\ufeffport = 80\nsecret = 'hunter2'", "utf-8")

    with pytest.raises(SettingsError) as option:
        load_settings({"SUNSEO_SECRET": "x" * 32}, file, port=70000)
    with pytest.raises(SettingsError) as secret:
        load_settings({}, file)

    assert str(option.value).startswith("settings: --port: ")
    assert "hunter2" not in str(secret.value)


@pytest.mark.parametrize("content", [b"", b"short\n", b"x" * 31 + b"\n", b"\xff" * 64])
def test_a_damaged_secret_is_named_before_anything_starts(tmp_path: Path, content: bytes) -> None:
    """A file that was cut off or overwritten is told with what to do, and stays as it is."""
    file = tmp_path / SECRET_FILE
    file.write_bytes(content)

    with pytest.raises(SettingsError, match=r"is damaged.*Bring it back from a backup"):
        secret_of(Settings(data=tmp_path))

    assert file.read_bytes() == content
