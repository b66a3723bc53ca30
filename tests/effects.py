"""What operators' commands came to, for tests that know which of the two it is."""

from typing import Any

from sunseo.core.outcome import Refusal
from sunseo.operators.command import Effect, EffectAnswer


def result_of(answer: EffectAnswer) -> dict[str, Any]:
    assert isinstance(answer, Effect), answer
    return answer.result


def refusal_of(answer: EffectAnswer) -> Refusal:
    assert isinstance(answer, Refusal), answer
    return answer
