"""From a crowd to a script, in the language of a tool."""

from enum import Enum, unique
from html import escape
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from sunseo.rehearsal.export.crowd import Crowd
from sunseo.rehearsal.report.templating import one_line

_ENVIRONMENT = Environment(  # noqa: S701 - scripts are no pages; the one in XML escapes by itself
    loader=PackageLoader("sunseo.rehearsal.export"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


@unique
class Tool(Enum):
    K6 = "k6"
    LOCUST = "locust"
    JMETER = "jmeter"

    @property
    def template(self) -> str:
        return {
            Tool.K6: "k6.js.j2",
            Tool.LOCUST: "locust.py.j2",
            Tool.JMETER: "jmeter.jmx.j2",
        }[self]

    @property
    def suffix(self) -> str:
        """Of a script: `.js`, `.py`, `.jmx`."""
        return Path(self.template.removesuffix(".j2")).suffix


def in_docstring(text: str) -> str:
    """Of a Python program: it neither ends there nor begins an escape."""
    return one_line(text).replace("\\", r"\\").replace('"', r"\"")


def in_plan(text: str) -> str:
    """Of a plan for JMeter: XML, of which `${…}` would be put in by JMeter, or run."""
    return escape(one_line(text).replace("${", r"\${"))


_ENVIRONMENT.filters |= {"one_line": one_line, "in_docstring": in_docstring, "in_plan": in_plan}


def write_script(tool: Tool, crowd: Crowd) -> str:
    spell = str.upper if tool is Tool.LOCUST else _camel
    behaviour = [(spell(name), value) for name, value in crowd.behaviour.items()]
    return _ENVIRONMENT.get_template(tool.template).render(crowd=crowd, behaviour=behaviour)


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))
