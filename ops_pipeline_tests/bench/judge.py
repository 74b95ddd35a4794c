"""How long the watchdog takes for 400 days of history, and for a year of replay.

Each is a ratio, in one run, to the least that any rule must do: put the counts of those 400 days into arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from timeit import repeat

from ops_pipeline.contract.days import ONE_DAY
from ops_pipeline.health import evaluate
from ops_pipeline.health.history import History
from ops_pipeline.health.watchdog import evaluate_range
from ops_pipeline_tests.simulation.streams import make_stream

HISTORY, YEAR, ROUNDS = 400, 365, 15


def main() -> None:
    """Print the median of each, and its ratio to the lower limit."""
    days = make_stream((1, 1)).days[-HISTORY:]
    first, last = days[0].day, days[-1].day
    tasks: dict[str, Callable[[], object]] = {
        "counts into arrays": lambda: History(days, first, first, last),
        "evaluate one day": lambda: evaluate(days, last),
        "evaluate_range a year": lambda: evaluate_range(days, last - (YEAR - 1) * ONE_DAY, last),
    }
    seconds = {name: median(repeat(task, number=1, repeat=ROUNDS)) for name, task in tasks.items()}
    limit = next(iter(seconds.values()))
    for name, found in seconds.items():
        print(f"{name:28} {found * 1000:8.1f} ms   ratio {found / limit:6.2f}")


if __name__ == "__main__":
    main()
