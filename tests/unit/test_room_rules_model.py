"""The rules of a room's line against what the documents promise, over random histories.

The model knows no counters and no slots: only who was given which number and which tokens, and
when these end. Promises are checked on that, as a gate and a visitor would see it.
"""

from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sunseo.room.line.commands import (
    Complete,
    EndPassOutcome,
    Enter,
    EnterOutcome,
    ExpirePasses,
    Join,
    JoinOutcome,
    Leave,
    Renew,
    RenewOutcome,
    Revoke,
    RoomCommand,
    pass_id_of,
)
from sunseo.room.line.line import LinePass, PassState
from sunseo.room.line.rules import RoomAnswer
from sunseo.room.setup.settings import RoomSettings
from tests.paper_line import ROOM, PaperStore

SECOND = 1000
ROOM_SETTINGS = RoomSettings(
    capacity=2, pass_ttl_s=60, session_max_s=150, renewal_grace_s=10, skew_s=5
)

holders = st.integers(1, 8)
numbers = st.integers(1, 14)
waits_s = st.sampled_from([1, 9, 10, 11, 30, 59, 60, 64, 65, 90])
batches = st.lists(
    st.one_of(
        st.tuples(st.just("join"), holders, st.just(0)),
        st.tuples(st.just("enter"), numbers, st.just(0)),
        st.tuples(st.just("renew"), numbers, st.integers(0, 2)),
        st.tuples(st.sampled_from(["leave", "complete", "revoke"]), numbers, st.just(0)),
        st.tuples(st.just("expire"), st.integers(1, 3), st.just(0)),
    ),
    min_size=1,
    max_size=6,
)


class Token:
    """A token of a pass, as its bearer has it."""

    def __init__(self, held: LinePass) -> None:
        self.pass_id = held.pass_id
        self.renewal = held.renewal
        self.expires_at_ms = held.expires_at_ms
        self.session_until_ms = held.session_until_ms


class Line(RuleBasedStateMachine):
    """Commands in batches, time, and a controller that calls and changes the capacity."""

    @initialize(passthrough=st.sampled_from([False, False, True]))
    def open(self, passthrough: bool) -> None:
        mode = "passthrough" if passthrough else "fifo"
        changed = {name: getattr(ROOM_SETTINGS, name) for name in RoomSettings.__struct_fields__}
        self.store = PaperStore(RoomSettings(**(changed | {"mode": mode})))
        self.passthrough = passthrough
        self.numbers_of: dict[UUID, list[int]] = {}  # of each holder, the newest last
        self.tokens: dict[int, list[Token]] = {}
        self.over: set[int] = set()  # numbers whose pass has ended for good
        self.randoms = 0

    @rule(seconds=waits_s)
    def wait(self, seconds: int) -> None:
        self.store.now_ms += seconds * SECOND

    @rule(by=st.integers(1, 4))
    def call(self, by: int) -> None:
        self.store.serving = min(self.store.issued, self.store.serving + by)

    @rule(capacity=st.integers(0, 4))
    def throttle(self, capacity: int) -> None:
        self.store.capacity = capacity

    @rule(batch=batches)
    def decide(self, batch: list[tuple[str, int, int]]) -> None:
        commands = [self._command(*asked) for asked in batch]
        live_before = self._live()
        answers = self.store.do(*commands)
        for command, answer in zip(commands, answers, strict=True):
            self._see(command, answer)
        if not self.passthrough:
            assert self._live() <= max(live_before, self.store.capacity)
        if answers[-1].outcome is EnterOutcome.ROOM_FULL:
            assert self._in_time() >= self.store.capacity  # nothing past due was left to reclaim

    @invariant()
    def counters_are_true(self) -> None:
        if hasattr(self, "store"):
            assert self.store.live == self._live()
            given = sorted(number for some in self.numbers_of.values() for number in some)
            assert given == list(range(1, self.store.issued + 1))

    @invariant()
    def every_valid_token_has_a_slot(self) -> None:
        """What a gate lets through is counted: overshoot is zero, also between expiry and skew."""
        if hasattr(self, "store"):
            for number, tokens in self.tokens.items():
                valid = any(token.expires_at_ms > self.store.now_ms for token in tokens)
                if valid and number not in self.over:
                    assert self.store.passes[number].state is PassState.LIVE

    @invariant()
    def nobody_is_in_line_twice(self) -> None:
        """All numbers of a holder but her newest are used up, and guests have only one."""
        if hasattr(self, "store"):
            for holder, given in self.numbers_of.items():
                assert all(self._is_used_up(number) for number in given[:-1])
                assert len(given) == 1 or _is_account(holder)

    def _is_used_up(self, number: int) -> bool:
        tokens = self.tokens.get(number)
        return number in self.over or (
            tokens is not None and self.store.now_ms >= tokens[-1].session_until_ms
        )

    def _live(self) -> int:
        return sum(held.state is PassState.LIVE for held in self.store.passes.values())

    def _in_time(self) -> int:
        passes = self.store.passes.values()
        now_ms = self.store.now_ms
        return sum(p.state is PassState.LIVE and p.slot_until_ms > now_ms for p in passes)

    def _command(self, what: str, number: int, back: int) -> RoomCommand:
        tokens = self.tokens.get(number, [])
        pass_id = tokens[-1].pass_id if tokens else pass_id_of(number, 0)
        match what:
            case "join":
                holder = UUID(int=number)
                binding = None if _is_account(holder) else UUID(int=7)
                return Join(ROOM, holder, UUID(int=number + 100), binding)
            case "enter" if self.passthrough and number > self.store.issued:
                return ExpirePasses(ROOM, 1)  # nobody has a place of which no number was given
            case "enter":
                self.randoms += 1
                new = pass_id_of(number, self.randoms)
                return Enter(ROOM, 1, number, UUID(int=number), new)
            case "renew":
                renewal = max(0, tokens[-1].renewal - back) if tokens else 0
                return Renew(ROOM, 1, pass_id, renewal)
            case "expire":
                return ExpirePasses(ROOM, number)
        return {"leave": Leave, "complete": Complete, "revoke": Revoke}[what](ROOM, 1, pass_id)

    def _see(self, command: RoomCommand, answer: RoomAnswer) -> None:
        match command:
            case Join():
                self._see_join(command, answer)
            case Enter():
                self._see_entry(command, answer)
            case Renew():
                self._see_renewal(command, answer)
            case Leave() | Complete() | Revoke():
                if answer.outcome is not EndPassOutcome.UNKNOWN_PASS:
                    self.over.add(_number(command.pass_id))

    def _see_join(self, command: Join, answer: RoomAnswer) -> None:
        assert answer.place is not None
        given = self.numbers_of.setdefault(command.holder, [])
        is_new = not given or (_is_account(command.holder) and self._is_used_up(given[-1]))
        if is_new:
            given.append(1 + sum(map(len, self.numbers_of.values())))
        assert answer.outcome is (JoinOutcome.JOINED if is_new else JoinOutcome.REPLAYED)
        assert answer.place.number == given[-1]
        before = given[-2] if len(given) > 1 else None
        assert before is None or self.store.followed[before] == given[-1]

    def _see_entry(self, command: Enter, answer: RoomAnswer) -> None:
        now_ms, tokens = self.store.now_ms, self.tokens.get(command.number, [])
        present = tokens[-1] if tokens else None
        if command.number in self.over:
            assert answer.outcome in (EnterOutcome.PASS_REVOKED, EnterOutcome.PASS_DONE)
        elif present is not None and now_ms >= present.session_until_ms:
            assert answer.outcome is EnterOutcome.SESSION_OVER
        elif present is not None and now_ms < present.expires_at_ms:
            assert answer.outcome is EnterOutcome.REPLAYED
            assert answer.held is not None
            assert vars(Token(answer.held)) == vars(present)
        elif command.number > self.store.serving and not self.passthrough:
            assert answer.outcome is EnterOutcome.NOT_SERVED
        elif self.passthrough:
            assert answer.outcome is EnterOutcome.ENTERED
        else:
            assert answer.outcome in (EnterOutcome.ENTERED, EnterOutcome.ROOM_FULL)
        if answer.outcome is EnterOutcome.ENTERED:
            assert answer.held is not None
            assert present is None or answer.held.pass_id == present.pass_id
            assert present is None or answer.held.renewal == present.renewal + 1
            self._given(answer.held)

    def _see_renewal(self, command: Renew, answer: RoomAnswer) -> None:
        number, now_ms = _number(command.pass_id), self.store.now_ms
        tokens = self.tokens.get(number, [])
        if not tokens or command.pass_id != tokens[-1].pass_id:
            assert answer.outcome is RenewOutcome.UNKNOWN_PASS
            return
        present = tokens[-1]
        if number in self.over:
            assert answer.outcome in (RenewOutcome.PASS_REVOKED, RenewOutcome.PASS_DONE)
        elif now_ms >= present.session_until_ms:
            assert answer.outcome is RenewOutcome.SESSION_OVER
        elif now_ms >= present.expires_at_ms:
            assert answer.outcome is RenewOutcome.PASS_EXPIRED
        elif command.renewal == present.renewal:
            assert answer.outcome is RenewOutcome.RENEWED
        elif answer.outcome is RenewOutcome.REPLAYED:
            assert command.renewal == present.renewal - 1
            assert answer.held is not None
            assert vars(Token(answer.held)) == vars(present)
        else:
            assert answer.outcome is RenewOutcome.PASS_REVOKED
            self.over.add(number)
        if answer.outcome is RenewOutcome.RENEWED:
            assert answer.held is not None
            assert answer.held.renewal == present.renewal + 1
            self._given(answer.held)

    def _given(self, held: LinePass) -> None:
        now_ms = self.store.now_ms
        assert now_ms < held.expires_at_ms <= now_ms + 60 * SECOND
        assert held.expires_at_ms <= held.session_until_ms
        self.tokens.setdefault(held.number, []).append(Token(held))


def _is_account(holder: UUID) -> bool:
    return holder.int % 2 == 1


def _number(pass_id: UUID) -> int:
    return pass_id.int >> 64


TestLine = Line.TestCase
TestLine.settings = settings(max_examples=150, stateful_step_count=40)
