"""Proof of work: what passes, for whom, how often, and what an attacker may send instead."""

import base64
import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunseo.room.admission.altcha import Altcha, solve
from sunseo.room.admission.challenge import ChallengeBody, Challenged

KEY, RETIRED = b"k" * 32, b"r" * 32
NOW = 1_000_000.0
NONCE = UUID(int=7)
HER = Challenged(1, NONCE, NONCE)


def altcha(**options: Any) -> Altcha:
    return Altcha(lambda room: (KEY + bytes([room]), RETIRED), **options)


def solved(
    challenge: ChallengeBody | None = None, *, nonce: UUID | None = None, **changes: Any
) -> str:
    """A correct answer, with some of its members changed afterwards."""
    answer = solve(challenge or altcha().issue(1, 1000, nonce, NOW))
    assert answer is not None
    members = json.loads(base64.b64decode(answer)) | changes
    return base64.b64encode(json.dumps(members).encode()).decode()


async def test_answer_passes() -> None:
    """Whoever found the number may join."""
    assert await altcha().verify(solved(), HER, NOW) == "passed"
    assert await altcha().verify(solved(nonce=NONCE), HER, NOW) == "passed"


def test_challenge_has_the_members_that_the_widget_reads() -> None:
    """The JSON is ALTCHA's, and the salt ends where the number begins."""
    challenge = altcha().issue(1, 1000, None, NOW)

    assert challenge.algorithm == "SHA-256"
    assert challenge.maxnumber == 1000
    assert challenge.salt is not None
    assert challenge.salt.endswith(f"?expires={int(NOW) + 300}&room=1&")
    assert len(challenge.challenge or "") == len(challenge.signature or "") == 64


async def test_widget_may_tell_more() -> None:
    """What newer widgets add, such as the time it took, is passed over."""
    assert await altcha().verify(solved(took=123, test=True), HER, NOW) == "passed"


async def test_answer_passes_again_for_its_holder_only() -> None:
    """A join that was lost on the way is repeated with the same answer; nobody else can use it."""
    judge, answer = altcha(), solved()
    other = Challenged(1, uuid4(), uuid4())

    assert await judge.verify(answer, HER, NOW) == "passed"
    assert await judge.verify(answer, HER, NOW + 1) == "passed"
    assert await judge.verify(answer, other, NOW + 1) == "failed"


async def test_bound_answer_serves_its_nonce_in_every_worker() -> None:
    """An answer that names a nonce is worth nothing to another, even where it was never seen."""
    answer = solved(nonce=NONCE)

    assert await altcha().verify(answer, Challenged(1, uuid4(), uuid4()), NOW) == "failed"
    assert await altcha(spent_max=0).verify(answer, HER, NOW) == "passed"


async def test_bound_answer_gives_one_person_a_place() -> None:
    """Many accounts with one nonce share no answer."""
    judge, answer = altcha(), solved(nonce=NONCE)

    assert await judge.verify(answer, Challenged(1, uuid4(), NONCE), NOW) == "passed"
    assert await judge.verify(answer, Challenged(1, uuid4(), NONCE), NOW) == "failed"


async def test_answer_expires() -> None:
    """Answers cannot be hoarded for the opening."""
    judge, answer = altcha(), solved()

    assert await judge.verify(answer, HER, NOW + 299.9) == "passed"
    assert await judge.verify(answer, HER, NOW + 300) == "failed"


async def test_memory_of_spent_answers_is_bounded_and_fails_closed() -> None:
    """When it is full, nobody gets in on an answer that could not be remembered; later they do."""
    judge = altcha(spent_max=2)
    people = [Challenged(1, uuid4(), uuid4()) for _ in range(4)]
    verdicts = [await judge.verify(solved(), person, NOW) for person in people]
    later = altcha().issue(1, 1000, None, NOW + 301)

    assert verdicts == ["passed", "passed", "failed", "failed"]
    assert await judge.verify(solved(later), people[3], NOW + 301) == "passed"


async def test_answer_to_another_room_or_of_another_server_fails() -> None:
    """Each room has its own key, and the salt names its room."""
    assert await altcha().verify(solved(), Challenged(2, NONCE, NONCE), NOW) == "failed"
    stranger = Altcha(lambda _: (b"x" * 32,))
    assert await stranger.verify(solved(), HER, NOW) == "failed"


async def test_retired_key_still_verifies() -> None:
    """Changing the secret does not void what is being solved."""
    before = Altcha(lambda _: (RETIRED,)).issue(1, 1000, None, NOW)

    assert await altcha().verify(solved(before), HER, NOW) == "passed"


async def test_own_challenges_cannot_be_made() -> None:
    """A challenge that somebody made easy for herself carries no signature of ours."""
    easy = Altcha(lambda _: (b"mine" * 8,)).issue(1, 1, None, NOW)

    assert await altcha().verify(solved(easy), HER, NOW) == "failed"


async def test_digits_cannot_be_moved_between_salt_and_number() -> None:
    """Splicing: `expires=1` and number 23 must not read as `expires=12` and number 3."""
    challenge = altcha().issue(1, 1000, None, NOW)
    answer = json.loads(base64.b64decode(solved(challenge)))
    text = f"{answer['salt']}{answer['number']}"
    for cut in range(1, len(text)):
        digits = text[cut:]
        if not digits.isdigit() or text[:cut] == answer["salt"]:
            continue
        moved = answer | {"salt": text[:cut], "number": int(digits)}
        sent = base64.b64encode(json.dumps(moved).encode()).decode()
        assert await altcha().verify(sent, HER, NOW) == "failed"


@pytest.mark.parametrize(
    "changes",
    [
        {"algorithm": "SHA-1"},
        {"algorithm": "none"},
        {"number": -1},
        {"number": 10**30},
        {"number": "7"},
        {"salt": ""},
        {"signature": ""},
        {"signature": "\ud800"},
        {"number": None},
    ],
)
async def test_edited_answers_fail(changes: dict[str, Any]) -> None:
    """No member can be changed."""
    assert await altcha().verify(solved(**changes), HER, NOW) == "failed"


@given(data=st.data())
async def test_no_byte_of_an_answer_can_be_changed(data: st.DataObject) -> None:
    """Changed anywhere, an answer fails, unless it still says the same to the letter."""
    challenge = ANSWERED
    answer = bytearray(base64.b64decode(challenge))
    at = data.draw(st.integers(0, len(answer) - 1))
    answer[at] ^= data.draw(st.integers(1, 255))
    judge = altcha()
    verdict = await judge.verify(base64.b64encode(bytes(answer)).decode(), HER, NOW)
    if verdict == "passed":  # only what we do not look at: `challenge` itself, which is made anew
        kept = {"salt", "number", "signature", "algorithm"}
        before, after = json.loads(base64.b64decode(challenge)), json.loads(bytes(answer))
        assert {name: before[name] for name in kept} == {name: after.get(name) for name in kept}


ANSWERED = solved()


@given(
    answer=st.text(max_size=200)
    | st.binary(max_size=200).map(lambda b: base64.b64encode(b).decode())
)
async def test_rubbish_fails_quietly(answer: str) -> None:
    """Whatever is sent as an answer, it is judged and raises nothing."""
    assert await altcha().verify(answer, HER, NOW) == "failed"


async def test_deeply_nested_answer_fails() -> None:
    """Nesting does not reach the interpreter's limit of recursion."""
    nested = base64.b64encode(b"[" * 100_000).decode()
    assert await altcha().verify(nested, HER, NOW) == "failed"
