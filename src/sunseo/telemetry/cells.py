"""Metric values in files that all processes of the server can read, at the least cost a write.

The library's own `MultiProcessValue` looks for its process, packs and slices at every increment,
and a request takes three. The files are the library's, and whoever adds them up is, too.

State       One file for each kind of metric in each slot; a value is one double in it.
Guarantee   A value is written at once and as a whole: who reads meanwhile sees it before or after.
Clock       None: no gauge here goes by the time at which it was set.
On failure  A process killed in mid-write loses at most that one increment.
"""

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

from prometheus_client.mmap_dict import MmapedDict, mmap_key

_VALUE_BYTES = 8

_lock = Lock()  # one for all, as in the library: adding reads first, and threads count, too


class Cell:
    """One value: what the library calls its `ValueClass`."""

    __slots__ = ("_at", "_doubles")

    def __init__(self, file: MmapedDict, key: str) -> None:
        file.read_value(key)  # type: ignore[no-untyped-call]  # untyped library; it makes room
        # A file that grows later is mapped anew; what is written here stays the same file's.
        mapped, positions = file._m, file._positions  # noqa: SLF001 - no public way to a value's place
        self._doubles = memoryview(mapped).cast("d")
        self._at: int = positions[key] // _VALUE_BYTES

    def inc(self, amount: float) -> None:
        with _lock:
            self._doubles[self._at] += amount

    def set(self, value: float, timestamp: float | None = None) -> None:  # noqa: ARG002 - see Clock
        self._doubles[self._at] = value

    def get(self) -> float:
        return self._doubles[self._at]

    def set_exemplar(self, exemplar: Any) -> None: ...
    def get_exemplar(self) -> None: ...


def cells_in(directory: Path, slot: int) -> Callable[..., Cell]:
    """What makes the values of one process, to be set as the library's `values.ValueClass`."""
    files: dict[str, MmapedDict] = {}

    def cell(  # noqa: PLR0917 - called by the library
        kind: str,
        metric: str,
        name: str,
        labels: list[str],
        values: list[str],
        sentence: str,
        multiprocess_mode: str = "",
    ) -> Cell:
        key = mmap_key(metric, name, labels, values, sentence)
        prefix = f"{kind}_{multiprocess_mode}" if kind == "gauge" else kind
        with _lock:
            if prefix not in files:
                path = directory / f"{prefix}_{slot}.db"
                files[prefix] = MmapedDict(str(path))  # type: ignore[no-untyped-call]  # untyped library
            return Cell(files[prefix], key)

    return cell
