"""Options that several commands of a rehearsal take, with one meaning each."""

from pathlib import Path
from typing import Annotated

import typer

SeedOption = Annotated[int | None, typer.Option(help="Of the crowd; drawn if not given.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
JsonFileOption = Annotated[Path | None, typer.Option(help="Write all figures to this file.")]
ReportOption = Annotated[Path | None, typer.Option(help="Write a page to this .html file.")]
