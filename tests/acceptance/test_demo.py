"""`sunseo demo`: the whole of it as a process, and what makes its verdict."""

import json
import os
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path
from uuid import UUID

import psutil

from sunseo.rehearsal.buyers import Basket, Buyer, View, buyers, choose
from sunseo.rehearsal.figures import latency_of
from sunseo.rehearsal.result import missing_orders

PATIENCE_S = 180


def start_demo(folder: Path, *options: str) -> subprocess.Popen[str]:
    """Start a demo whose throw-away folder is made below `folder`."""
    folder.mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "sunseo", "demo", *options],
        env=os.environ | {"TMPDIR": str(folder), "SUNSEO_PORT": "1"},  # not for the demo's server
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_small_crowd_buys_everything_and_the_data_agree(tmp_path: Path) -> None:
    """A demo sells every unit, verifies clean, tells figures that add up, and leaves nothing."""
    folder = tmp_path / "한글 공백"
    demo = start_demo(folder, "--visitors", "40", "--seats", "60", "--seed", "5", "--json")
    output, errors = demo.communicate(timeout=PATIENCE_S)

    assert demo.returncode == 0, errors
    told = json.loads(output)
    assert told["verify"]["clean"] is True
    assert told["sold"] == told["capacity"] == 2 * (60 + 15)
    assert told["sold_out"] is True
    assert told["orders_told"] == told["orders_stored"] > 0
    assert told["orders_missing"] == 0
    assert told["seed"] == 5
    assert told["seat_taken"] > 0
    assert told["buyers"] >= 40
    assert told["nine_tenths_s"] <= told["sell_out_s"]
    assert 1 <= told["database_connections_max"] <= 10
    assert list(folder.glob("sunseo-demo-*")) == []


def test_interrupted_demo_stops_its_server(tmp_path: Path) -> None:
    """SIGTERM in mid-demo ends the server and removes the folder; the exit code says so."""
    demo = start_demo(tmp_path / "tmp", "--visitors", "10", "--seats", "20000")
    assert demo.stdout is not None
    for line in demo.stdout:
        if line.startswith("Sale "):
            break
    below = psutil.Process(demo.pid).children(recursive=True)
    assert below

    demo.send_signal(signal.SIGTERM)
    output, errors = demo.communicate(timeout=PATIENCE_S)

    assert demo.returncode == 130, errors
    assert "the server is down" in output
    _, alive = psutil.wait_procs(below, timeout=PATIENCE_S)
    assert alive == []
    assert list((tmp_path / "tmp").glob("sunseo-demo-*")) == []


def test_same_seed_gives_the_same_crowd() -> None:
    """Buyers of one seed come again with the same habits; another seed brings others."""

    def habits(buyer: Buyer) -> tuple[object, ...]:
        return buyer.party, buyer.taste, buyer.occasion, buyer.ending, buyer.dice.random()

    first, again, other = (
        [habits(buyer) for buyer in islice(buyers(seed, (1, 2)), 50)] for seed in (7, 7, 8)
    )

    assert first == again
    assert first != other


def test_buyer_takes_what_is_left() -> None:
    """Whoever finds other things sold out takes what there is, and nothing when nothing is."""
    for buyer in islice(buyers(1, (1, 2)), 100):
        last_seat = View(seats={1: [], 2: [41]}, products={1: 0}, held=3, sold=9)
        assert choose(buyer, last_seat, buyer.party, 0) == Basket(seats=(41,))
        last_place = View(seats={1: [], 2: []}, products={1: 0, 2: 1}, held=3, sold=9)
        assert choose(buyer, last_place, buyer.party, 0) == Basket(products=((2, 1),))
        nothing = View(seats={1: [], 2: []}, products={1: 0, 2: 0}, held=3, sold=9)
        assert choose(buyer, nothing, buyer.party, 0) is None


def test_order_not_stored_as_told_is_missed() -> None:
    """An order that is absent, or is for other seats than its buyer was told, is found."""
    known, altered, lost = (str(UUID(int=number)) for number in (1, 2, 3))
    told = {
        known: Basket((2, 1), ((1, 2),)),
        altered: Basket((3,)),
        lost: Basket((), ((1, 1),)),
    }
    stored = {known: Basket((1, 2), ((1, 2),)), altered: Basket((4,))}

    assert missing_orders(told, stored) == [altered, lost]


def test_percentiles_are_those_of_the_nearest_rank() -> None:
    """The median of four is the second, and the 99th percentile of few is the longest."""
    latency = latency_of([0.004, 0.001, 0.003, 0.002])

    assert (latency.p50, latency.p99, latency.longest) == (2.0, 4.0, 4.0)
