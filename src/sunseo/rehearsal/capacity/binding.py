"""What was used up when the bounds broke: read from what was seen, by stated rules. Pure.

In this order, since each would show as the next ones, too:

    others    all cores of the machine were busy, and a good part with other programs' work
    cpu       all cores of the machine were busy with the rehearsal
    crowd     the crowd's processes were at their limit, or late, while the machine had cores left:
              the server was not measured to its end
    worker    each worker used a whole core while the machine had some left
    lane      the workers' lanes flushed nearly all the time, and that was thinking
    database  the same, but most of it was waiting for PostgreSQL
    unknown   nothing that the looks show
"""

from typing import Literal

from sunseo.rehearsal.capacity.measured import Probe
from sunseo.rehearsal.report.slowest import FULL, Machinery

Binding = Literal["nothing", "others", "cpu", "crowd", "worker", "lane", "database", "unknown"]

LATE_MS = 50.0  # of the crowd itself: as much as half of a strict bound
OTHERS_MOST = 0.2  # of the cores: below, they decide little
LANE_FULL = 0.75  # of the time; what comes by chance waits long before a lane is never idle
THINKS = 0.5  # of the flushing time: the worker's core was at work for that part


def binding_of(failed: Probe | None, machinery: Machinery) -> Binding:
    """What bound at the lowest rate that failed; nothing where none did."""
    if failed is None:
        return "nothing"
    reading = failed.reading
    if reading is None:
        return "unknown"
    if reading.cores_in_use >= FULL * machinery.cores:
        others = reading.cores_in_use - reading.own_cores
        return "others" if others >= OTHERS_MOST * machinery.cores else "cpu"
    crowd = reading.cores.get("crowd", 0.0)
    if crowd >= FULL * machinery.drivers or failed.late_p99_ms >= LATE_MS:
        return "crowd"
    server = reading.cores.get("server", 0.0)
    if server >= FULL * machinery.workers:
        return "worker"
    busiest = max(reading.busy.values(), default=0.0)
    if busiest >= LANE_FULL * machinery.workers:
        return "lane" if server >= THINKS * busiest else "database"
    return "unknown"
