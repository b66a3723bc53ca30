"""What the crowd does: the workloads, by name."""

from dataclasses import dataclass

from bench import halls
from bench.halls import WARM_UP_SALE, Hall

PERSONS = 50_000


@dataclass(frozen=True, slots=True)
class Workload:
    """A hall and a way to ask for what is in it.

    Attributes:
        shape: how `wrk/holds.lua` asks.
        workers: server processes that every contender gets.
        per_person: requests that each person sends at once.
        is_refusal_an_answer: whether refusals count as work done; else only holds placed do.
    """

    name: str
    title: str
    hall: Hall
    shape: str
    connections: int
    workers: int = 1
    per_person: int = 1
    is_refusal_an_answer: bool = False

    @property
    def unit(self) -> str:
        return "answers/s" if self.is_refusal_an_answer else "holds/s"

    def script_environment(self) -> dict[str, str]:
        """Tell the load script what to ask for."""
        return {
            "BENCH_SHAPE": self.shape,
            "BENCH_SALE_FIRST": "1",
            "BENCH_SALES": str(self.hall.sales),
            "BENCH_SEATS": str(self.hall.seats),
            "BENCH_TAKEN": str(self.hall.taken),
            "BENCH_PER_PERSON": str(self.per_person),
            "BENCH_COUNT": "1" if self.is_refusal_an_answer else "0",
        }

    def warm_up_environment(self) -> dict[str, str]:
        """Tell it to ask for the same kind of thing in the sale that is there to warm up in."""
        hall = halls.warm_up()
        return self.script_environment() | {
            "BENCH_SHAPE": "stock" if self.shape == "stock" else "seats",
            "BENCH_SALE_FIRST": str(WARM_UP_SALE),
            "BENCH_SALES": "1",
            "BENCH_SEATS": str(hall.seats),
            "BENCH_TAKEN": "0",
        }


def workloads(*, quick: bool) -> list[Workload]:
    """List them all, smaller ones for a smoke test."""
    arena = halls.arena(quick=quick)
    seats = f"{arena.seats:,} seats in random order"
    small = halls.small_sales(quick=quick)
    return [
        Workload("seats_1", f"{seats}, one connection", arena, "seats", 1),
        Workload("seats_64", f"{seats}, 64 connections", arena, "seats", 64),
        Workload("seats_512", f"{seats}, 512 connections", arena, "seats", 512),
        Workload(
            "seats_512_2_workers",
            f"{seats}, 512 connections, 2 workers",
            arena,
            "seats",
            512,
            workers=2,
        ),
        Workload(
            "refusals_64",
            "2,000 seats, 98 % of requests refused, 64 connections",
            halls.nearly_gone(),
            "nearly_gone",
            64,
            is_refusal_an_answer=True,
        ),
        *(
            Workload(
                f"hot_stock_{connections}",
                f"one hot stock row, {connections} connections",
                halls.standing(),
                "stock",
                connections,
            )
            for connections in (64, 512)
        ),
        *(
            Workload(
                f"small_sales_{connections}",
                f"{small.sales:,} small sales opening in one second, {connections} connections",
                small,
                "seats",
                connections,
            )
            for connections in (64, 512)
        ),
        Workload(
            "new_persons_64",
            "new persons who ask eight times for a limit of four, 2 workers, 64 connections",
            halls.new_persons(quick=quick),
            "persons",
            64,
            workers=2,
            per_person=8,
            is_refusal_an_answer=True,
        ),
    ]
