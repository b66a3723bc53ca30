"""Where the templates of all pages of a rehearsal are, and how they are read."""

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

TEMPLATES = Environment(
    loader=PackageLoader("sunseo.rehearsal.report"),
    autoescape=select_autoescape(["html"]),  # Markdown has nothing to be escaped
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
