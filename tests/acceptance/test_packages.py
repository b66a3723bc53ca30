"""The packages of the house: what is in each, and that each works where no other one is."""

import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

from sunseo.core.version import VERSION
from tests.pythons import UV
from tests.tidy.sources import ROOT, SOURCE

GATE_BYTES_MAX = 5_000_000

GUARDED = """
import sys
from importlib.metadata import distributions
from sunseo.core.version import VERSION
from sunseo.gate import asgi
from sunseo.gate.wsgi import WaitingRoomMiddleware
from sunseo.passes.keys import KeyRing

def site(environ, start_response):
    raise AssertionError("without a pass nobody gets here")

for ed25519 in (False, True):
    keys = KeyRing(1, {0: bytes(32)}, 0).gate_keys(42, ed25519)
    guarded = WaitingRoomMiddleware(site, room=42, keys=keys, sunseo_url="http://127.0.0.1:9")
    guarded.core.start = lambda: None
    asked = {
        "REQUEST_METHOD": "GET", "PATH_INFO": "/buy", "HTTP_HOST": "shop.example",
        "HTTP_ACCEPT": "text/html", "wsgi.url_scheme": "https", "REMOTE_ADDR": "192.0.2.1",
    }
    answered = []
    list(guarded(asked, lambda status, headers: answered.extend([status, dict(headers)])))
    print(answered[0], answered[1]["Location"])
print(VERSION, *sorted(one.name.lower() for one in distributions()))
"""


def uv(*words: str | Path, environment: Path | None = None) -> None:
    """Run the checkout's own uv: from what was downloaded before, where that is enough."""
    variables = os.environ | {"UV_PYTHON": sys.executable, "UV_LINK_MODE": "symlink"}
    if environment is not None:
        variables["UV_PROJECT_ENVIRONMENT"] = str(environment)
    said = ""
    for network in (["--offline"], []):
        command = [UV, *words, *network]
        done = subprocess.run(
            command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return
        said = done.stderr
    raise AssertionError(said)


def ran(environment: Path, *words: str) -> str:
    """What a program of an environment prints, run far from the checkout."""
    done = subprocess.run(
        [environment / "bin" / words[0], *words[1:]],
        cwd=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def install(wheels: list[Path], dependencies_of: str, environment: Path) -> None:
    """An environment with what one package depends on, and then the wheels themselves."""
    only = ("--package", dependencies_of, "--no-default-groups", "--no-install-workspace")
    uv("sync", "--quiet", "--locked", *only, environment=environment)
    uv("pip", "install", "--quiet", "--no-deps", "--python", environment / "bin/python", *wheels)


def members(wheel: Path) -> Iterator[tuple[str, int]]:
    """The files of a wheel but for its own records, and their sizes."""
    with ZipFile(wheel) as archive:
        for member in archive.infolist():
            if ".dist-info/" not in member.filename:
                yield member.filename, member.file_size


def records(wheel: Path, name: str) -> str:
    with ZipFile(wheel) as archive:
        [found] = [one for one in archive.namelist() if one.endswith(f".dist-info/{name}")]
        return archive.read(found).decode()


def test_the_gate_alone_guards_a_site(tmp_path: Path) -> None:
    """A site that wants the gate gets a small package and two dependencies, and is guarded."""
    uv("build", "--quiet", "--wheel", "--package", "sunseo-gate", "--out-dir", tmp_path)
    [wheel] = tmp_path.glob("*.whl")
    install([wheel], "sunseo-gate", tmp_path / "env")

    *answers, installed = ran(tmp_path / "env", "python", "-I", "-c", GUARDED).splitlines()

    line = "http://127.0.0.1:9/r/42?return=https%3A%2F%2Fshop.example%2Fbuy"
    assert answers == [f"303 See Other {line}"] * 2
    assert sum(size for _, size in members(wheel)) <= GATE_BYTES_MAX
    assert installed == f"{VERSION} cffi cryptography msgspec pycparser sunseo-gate"


def test_together_the_packages_are_the_whole_house(tmp_path: Path) -> None:
    """Built by way of sdists, no file is in two packages, none is in none, and the command runs."""
    uv("build", "--quiet", "--all-packages", "--out-dir", tmp_path)
    wheels = sorted(tmp_path.glob("*.whl"))
    sources = [path for path in SOURCE.rglob("*") if path.is_file() and path.suffix != ".pyc"]

    packed = [name for wheel in wheels for name, _ in members(wheel)]
    assert sorted(packed) == sorted(str(path.relative_to(SOURCE.parent)) for path in sources)
    assert [wheel.name.split("-")[0] for wheel in wheels] == ["sunseo", "sunseo_gate"]
    for wheel in wheels:
        assert any(name.endswith("py.typed") for name, _ in members(wheel))
        assert records(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_text("utf-8")
        assert records(wheel, "licenses/NOTICE").startswith("Sunseo\nLicensed under the Apache")
        assert Parser().parsestr(records(wheel, "METADATA"))["Version"] == VERSION
    needs = Parser().parsestr(records(wheels[0], "METADATA")).get_all("Requires-Dist", [])
    assert f"sunseo-gate=={VERSION}" in needs
    for sdist in tmp_path.glob("*.tar.gz"):
        with tarfile.open(sdist) as archive:
            top = {name.split("/")[1] for name in archive.getnames()}
        assert {"LICENSE", "NOTICE", "src"} <= top

    install(wheels, "sunseo", tmp_path / "env")
    assert ran(tmp_path / "env", "sunseo", "--version") == f"{VERSION}\n"
    imported = "import sunseo.booking.rules, sunseo.gate.asgi"
    assert ran(tmp_path / "env", "python", "-I", "-c", imported) == ""
