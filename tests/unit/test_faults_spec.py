"""What `--fault` says, read and planned."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunseo.rehearsal.faults.spec import (
    FAULTS_MAX,
    FaultKind,
    FaultSpec,
    FaultTarget,
    Lasting,
    SpecError,
    parse_faults,
    plan_faults,
    refuse_for_target,
)


def seconds(upto_ms: int, from_ms: int = 0) -> st.SearchStrategy[float]:
    return st.integers(from_ms, upto_ms).map(lambda ms: ms / 1000)


@st.composite
def specs(draw: st.DrawFn) -> FaultSpec:
    kind = draw(st.sampled_from(FaultKind))
    first, last = sorted(draw(st.tuples(seconds(3_600_000), seconds(3_600_000))))
    never = kind.lasting is Lasting.NEVER
    return FaultSpec(
        kind=kind,
        from_s=first,
        upto_s=draw(st.sampled_from((first, last))),
        lasts_s=0.0 if never else draw(seconds(60_000, int(kind.lasting is Lasting.MUST))),
        delay_s=draw(seconds(10_000, 1)) if kind.is_slow else 0.0,
    )


@given(st.lists(specs(), min_size=1, max_size=FAULTS_MAX))
def test_what_is_written_is_what_is_read(wanted: list[FaultSpec]) -> None:
    """Faults that are written down and read again are the same faults."""
    assert parse_faults(", ".join(map(str, wanted))) == wanted


@given(specs(), st.integers(0, 10**6))
def test_plan_is_the_same_for_one_seed(wanted: FaultSpec, seed: int) -> None:
    """A seed makes one plan, in which the fault begins within its span."""
    (planned,) = plan_faults([wanted], seed)

    assert [planned] == plan_faults([wanted], seed)
    assert wanted.from_s <= planned.at_s <= wanted.upto_s
    assert (planned.kind, planned.lasts_s) == (wanted.kind, wanted.lasts_s)
    assert 0 <= planned.choice < 1


@given(st.text(alphabet="kilpause-db@0123456789s.:,m ", max_size=30))
def test_nonsense_gets_one_line(text: str) -> None:
    """Whatever is written, it is faults that can be written again, or a SpecError of one line."""
    try:
        faults = parse_faults(text)
    except SpecError as error:
        refusal = str(error)
    else:
        refusal = ""
        assert parse_faults(",".join(map(str, faults))) == faults
    assert "\n" not in refusal


def test_plan_begins_with_what_comes_first() -> None:
    """Faults happen in the order of their moments, not in that of writing."""
    planned = plan_faults(parse_faults("pause-db@30s:5s,kill-server@20s,cut-network@500ms:3s"), 1)

    assert [(fault.kind, fault.at_s, fault.ends_s) for fault in planned] == [
        (FaultKind.CUT_NETWORK, 0.5, 3.5),
        (FaultKind.KILL_SERVER, 20.0, 20.0),
        (FaultKind.PAUSE_DB, 30.0, 35.0),
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "nothing is no fault: write it like pause-db@30s:5s"),
        ("kill-server", "kill-server is no fault: write it like pause-db@30s:5s"),
        ("kill-everyone@2s", "kill-everyone is no fault; there are kill-worker, "),
        ("kill-server@20", "kill-server@20: 20 is no time; write it like 20s or 500ms"),
        ("kill-server@-2s", "-2s is no time"),
        ("kill-server@2h", "2h is no time"),
        ("kill-server@61m", "61m is longer than an hour"),
        ("kill-worker@4s..", "nothing is no time"),
        ("kill-worker@4s..2s", "the span ends before it begins"),
        ("pause-db@3s", "pause-db@3s: how long? Write it like pause-db@3s:5s"),
        ("cut-network@3s:0s", "cut-network@3s:0s would not last"),
        ("kill-db@1s:2s", "kill-db@1s:2s says more than kill-db needs"),
        ("pause-db@1s:2s:3s", "says more than pause-db needs"),
        ("slow-network@1s:2s:11s", "a delay is up to 10s"),
        ("pause-db@1s:2s,", "nothing is no fault"),
        (",".join(["kill-db@1s"] * 21), "21 faults are too many"),
    ],
)
def test_bad_fault_is_told_why(text: str, line: str) -> None:
    """Each mistake is named, with what would be right."""
    with pytest.raises(SpecError) as refused:
        parse_faults(text)
    assert line in str(refused.value)


def test_one_kind_does_not_overlap_itself() -> None:
    """A pause within a pause would end with the first one; different kinds may overlap."""
    with pytest.raises(SpecError, match="two pause-db overlap at 3s from T0"):
        plan_faults(parse_faults("pause-db@1s:5s,pause-db@3s:1s"), 1)
    assert len(plan_faults(parse_faults("pause-db@1s:5s,cut-network@3s:1s"), 1)) == 2


@pytest.mark.parametrize("kind", FaultKind)
def test_only_the_network_of_a_target_is_touched(kind: FaultKind) -> None:
    """Processes that are not ours are nobody's to kill."""
    spec = FaultSpec(kind=kind, from_s=1.0, upto_s=1.0)
    if kind.part is FaultTarget.NETWORK:
        refuse_for_target([spec])
    else:
        with pytest.raises(SpecError, match="to a server of our own only"):
            refuse_for_target([spec])
