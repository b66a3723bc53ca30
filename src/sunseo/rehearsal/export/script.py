"""From a plan to a script: a player in the language of a tool, with the plan at its head."""

import re
from enum import Enum, unique
from html import escape
from importlib.resources import files
from inspect import getsource
from textwrap import dedent
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from sunseo.passes.polling import poll_after_s
from sunseo.rehearsal.export.plan import CrowdPlan, plan_text
from sunseo.rehearsal.report.templating import one_line

_ENVIRONMENT = Environment(  # noqa: S701 - scripts are no pages; the one in XML escapes by itself
    loader=PackageLoader("sunseo.rehearsal.export", "players"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


@unique
class Tool(Enum):
    """Who is to play; `JSON` is the plan alone, for any other player."""

    K6 = "k6"
    LOCUST = "locust"
    JMETER = "jmeter"
    JSON = "json"


PLAYERS = {
    Tool.K6: "k6.js.j2",
    Tool.LOCUST: "locust.py.j2",
    Tool.JMETER: "jmeter.jmx.j2",
}


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


def write_script(tool: Tool, plan: CrowdPlan) -> str:
    if tool is Tool.JSON:
        return plan_text(plan, words=True) + "\n"
    player = _ENVIRONMENT.get_template(PLAYERS[tool])
    return player.render(crowd=plan, plan=plan_text(plan, words=False), poll_rule=poll_rule())
