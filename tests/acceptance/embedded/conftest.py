"""Data folders, disks and users for an embedded PostgreSQL."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.embedded.supervisors import server_in


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A data folder that is still to be made."""
    return tmp_path / "data"


@pytest.fixture(scope="session")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with an empty database, made once since that takes long."""
    folder = tmp_path_factory.mktemp("stopped") / "data"
    with server_in(folder):
        pass
    return folder


@pytest.fixture
def data(stopped: Path, tmp_path: Path) -> Path:
    """A data folder that has been used before."""
    return shutil.copytree(stopped, tmp_path / "data")


@pytest.fixture
def as_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can act as several users")


@pytest.fixture
def common_folder() -> Iterator[Path]:
    """A folder that every user can reach; pytest's own is closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="sunseo-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def small_disk(as_root: None, common_folder: Path) -> Iterator[Path]:
    """A disk of 160 MB: enough for a cluster, not for much more."""
    folder = common_folder / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"mounting a small file system is not permitted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
