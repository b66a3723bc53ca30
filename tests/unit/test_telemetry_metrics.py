"""Metrics: one catalogue, every one described, added up over workers that come and go."""

import re
import subprocess
import sys
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict

from sunseo.core.later import Reason
from sunseo.engine.entry import LaneMeter
from sunseo.telemetry.metrics import Metrics, prepare
from sunseo.telemetry.slots import claim_slot, forget_dead_gauges

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "metrics.md"

WORKER = """
import sys
from pathlib import Path
from sunseo.telemetry.metrics import Metrics
metrics = Metrics.open(Path(sys.argv[1]))
route = metrics.route("POST", "/holds")
depth = metrics.lane("0").depth
for command in sys.stdin:
    if command == "count\\n":
        route.answered(201, "held", 0.02)
    if command.startswith("depth "):
        depth(int(command[6:]))
    print("done", flush=True)
"""


class Worker:
    """A process that writes metrics as told."""

    def __init__(self, directory: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, command: str) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def scrape(directory: Path) -> str:
    """What a process of its own would answer to Prometheus."""
    program = (
        "import sys; from pathlib import Path; from sunseo.telemetry.metrics import Metrics; "
        "d = Path(sys.argv[1]); sys.stdout.write(Metrics(d).render().decode())"
    )
    return subprocess.run(
        [sys.executable, "-c", program, str(directory)], check=True, capture_output=True, text=True
    ).stdout


def value(text: str, name: str) -> float:
    (found,) = re.findall(rf"^{re.escape(name)}(?:\{{.*\}})? (.*)$", text, re.MULTILINE)
    return float(found)


def test_values_stay_where_they_are_read_when_their_file_grows(tmp_path: Path) -> None:
    """Values made before and after a file had to grow are all in it, and counted on by the next."""
    program = (
        "import sys; from pathlib import Path; from sunseo.telemetry.cells import cells_in; "
        "cell = cells_in(Path(sys.argv[1]), 3); long = 'x' * 200; "
        "made = [cell('counter', 'm', 'm', ['l'], [f'{n}{long}'], '') for n in range(1000)]; "
        "[one.inc(0.5) for one in (*made, made[0])]; print(made[0].get(), made[999].get())"
    )
    for said in ("1.0 0.5\n", "2.0 1.0\n"):
        filled = [sys.executable, "-c", program, str(tmp_path)]
        assert subprocess.run(filled, check=True, capture_output=True, text=True).stdout == said
    stored = MmapedDict.read_all_values_from_file(str(tmp_path / "counter_3.db"))  # type: ignore[no-untyped-call]  # untyped library
    assert [number for _, number, _, _ in stored] == [2.0, *[1.0] * 999]


def test_counts_of_killed_workers_stay_and_their_gauges_go(tmp_path: Path) -> None:
    """Counters of all workers are added up and survive a kill; gauges of the dead do not."""
    prepare(tmp_path)
    first, second = Worker(tmp_path), Worker(tmp_path)
    first.tell("count")
    first.tell("depth 5")
    second.tell("count")
    second.tell("depth 7")

    both = scrape(tmp_path)
    first.kill()
    one = scrape(tmp_path)
    successor = Worker(tmp_path)
    successor.tell("count")
    after = scrape(tmp_path)
    second.kill()
    successor.kill()

    assert value(both, "sunseo_http_requests_total") == 2
    assert value(both, "sunseo_lane_queue_depth") == 12
    assert value(one, "sunseo_http_requests_total") == 2
    assert value(one, "sunseo_lane_queue_depth") == 7
    assert value(after, "sunseo_http_requests_total") == 3
    assert value(after, "sunseo_http_request_seconds_count") == 3
    assert len(list(tmp_path.glob("counter_*.db"))) == 2  # the successor took over the slot


def test_prepare_empties_what_an_earlier_run_left(tmp_path: Path) -> None:
    """A new start of the server counts from zero."""
    worker = Worker(tmp_path)
    worker.tell("count")
    worker.kill()

    prepare(tmp_path)

    assert "sunseo_http_requests_total{" not in scrape(tmp_path)


def test_slots_are_exclusive_and_reused(tmp_path: Path) -> None:
    """Each living owner has its own number, and a freed one is the next to be taken."""
    first, second = claim_slot(tmp_path), claim_slot(tmp_path)
    gauges = tmp_path / f"gauge_livesum_{first.number}.db"
    gauges.touch()
    forget_dead_gauges(tmp_path)
    assert gauges.exists()

    first.release()
    forget_dead_gauges(tmp_path)
    assert not gauges.exists()

    third = claim_slot(tmp_path)
    assert (first.number, second.number, third.number) == (0, 1, 0)
    second.release()
    third.release()


def test_lane_reports_everything_it_is_asked_to() -> None:
    """The lane's meter writes each of its figures."""
    metrics = Metrics()
    meter: LaneMeter = metrics.lane("0")

    meter.flushed(32, 0.004)
    meter.waited(0.002)
    meter.refused(Reason.SHED)
    meter.retried()
    meter.bisected()
    meter.deferred(3)
    meter.depth(9)

    text = metrics.render().decode()
    assert value(text, "sunseo_lane_batch_size_sum") == 32
    assert value(text, "sunseo_lane_flush_seconds_sum") == 0.004
    assert value(text, "sunseo_lane_wait_seconds_count") == 1
    assert 'sunseo_lane_refusals_total{lane="0",reason="shed"} 1.0' in text
    assert value(text, "sunseo_lane_retries_total") == 1
    assert value(text, "sunseo_lane_bisections_total") == 1
    assert value(text, "sunseo_lane_deferrals_total") == 3
    assert value(text, "sunseo_lane_queue_depth") == 9


def test_every_metric_is_described_where_users_read() -> None:
    """The guide lists every metric with its help sentence, and none that does not exist."""
    described = dict(
        re.findall(
            r"^\| `(sunseo_\w+)` \|[^|]*\|[^|]*\| (.*?) \|$", GUIDE.read_text(), re.MULTILINE
        )
    )

    assert described == Metrics().describe()


def test_every_metric_has_a_sentence() -> None:
    """Help texts are sentences, and names carry the unit last."""
    for name, sentence in Metrics().describe().items():
        assert sentence.endswith("."), name
        assert len(sentence) > 20, name
