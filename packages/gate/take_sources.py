"""Puts the gate's folders of the one source tree into its packages.

In a checkout the tree lies beside `packages`, in an sdist of the gate in the sdist itself.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDERS = ("core", "passes", "gate")


class TakeSources(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the folders, and where each goes: to `src` in an sdist, to the top in a wheel."""
        if version == "editable":  # dev-mode-dirs says all
            return
        here = Path(self.root)
        tree = next(src for src in (here / "src", here.parents[1] / "src") if src.is_dir())
        top = "src/sunseo" if self.target_name == "sdist" else "sunseo"
        for folder in FOLDERS:
            build_data["force_include"][str(tree / "sunseo" / folder)] = f"{top}/{folder}"
