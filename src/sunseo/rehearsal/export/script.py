"""From a crowd to a script, in the language of a tool."""

import re
from enum import Enum, unique
from html import escape
from importlib.resources import files
from inspect import getsource
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from sunseo.core.polling import poll_after_s
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


class PollRule(NamedTuple):
    """How soon to ask again, in the languages of scripts: the very texts that we run ourselves."""

    javascript: str
    python: str


def poll_rule() -> PollRule:
    script = files("sunseo.room.pages").joinpath("static", "sunseo.js").read_text("utf-8")
    [function] = re.findall(r"^  function pollAfterS.*?^  }$", script, re.MULTILINE | re.DOTALL)
    return PollRule(dedent(function), getsource(poll_after_s))


_ENVIRONMENT.filters |= {"one_line": one_line, "in_docstring": in_docstring, "in_plan": in_plan}


def write_script(tool: Tool, crowd: Crowd) -> str:
    spell = str.upper if tool is Tool.LOCUST else _camel
    behaviour = [(spell(name), value) for name, value in crowd.behaviour.items()]
    return _ENVIRONMENT.get_template(tool.template).render(
        crowd=crowd, behaviour=behaviour, poll_rule=poll_rule()
    )


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))
