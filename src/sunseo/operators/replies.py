"""Operators' commands over HTTP: who commands, and how what it came to is told."""

from typing import assert_never

import msgspec

from sunseo.core.outcome import Refusal
from sunseo.operators.command import By, Effect, EffectAnswer
from sunseo.web.endpoint import Answer, Call, Reply


def by_of(call: Call) -> By:
    """Who calls an endpoint of operators that takes an Idempotency-Key."""
    return By(call.operator, call.idempotency_key)


def reply(answer: EffectAnswer, body: type[msgspec.Struct]) -> Answer:
    match answer:
        case Effect(outcome, result):
            return Reply(None, msgspec.convert(result, body), outcome=outcome)
        case Refusal():
            return answer
        case never:
            assert_never(never)
