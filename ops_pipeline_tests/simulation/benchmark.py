"""Measures the rules on simulated streams and prints the table of docs/explanation/watchdog.md.

    python -m ops_pipeline_tests.simulation.benchmark [--streams N] [--budgets]

Everything is seeded: the same numbers come out of every run on every machine.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from scipy.stats import beta, chi2
from tqdm import tqdm

from ops_pipeline.health import Thresholds
from ops_pipeline_tests.simulation.rules import RULES, Alarms, Rule, this_project
from ops_pipeline_tests.simulation.streams import VISIBLE, WARM_UP, YEAR, Incident, make_stream

CLEAN, BROKEN = 101, 202
"""Seeds. Others were used while the rule was made."""
QUIET_DAYS = 2
BUDGETS = (0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Seen:
    """What a rule made of one incident."""

    incident: Incident
    is_visible: bool
    per_day: float
    delay: int | None
    """Days from its beginning to the first alarm; None: none while it lasted."""


def false_alarms(alarms: Alarms) -> int:
    """Return how often an alarm begins in clean traffic; one that returns within two days is the same."""
    days = np.flatnonzero(alarms[WARM_UP:])
    return int(len(days) > 0) + int((np.diff(days) > QUIET_DAYS).sum())


def clean(rule: Rule, number: int) -> int:
    """Return the false alarms of one clean stream-year."""
    return false_alarms(rule(make_stream((CLEAN, number))))


def broken(rule: Rule, case: tuple[Incident, int]) -> Seen:
    """Return what the rule sees of one incident."""
    incident, number = case
    stream = make_stream((BROKEN, list(Incident).index(incident), number), incident)
    during = np.flatnonzero(rule(stream)[stream.onset : stream.onset + stream.length])
    delay = int(during[0]) if len(during) else None
    return Seen(incident, stream.visible >= VISIBLE, stream.per_day, delay)


def rate_interval(events: int, years: float) -> tuple[float, float]:
    """Return the exact 95 % interval of a Poisson rate."""
    low = chi2.ppf(0.025, 2 * events) / 2 if events else 0.0
    return low / years, chi2.ppf(0.975, 2 * events + 2) / 2 / years


def share_interval(x: int, n: int) -> tuple[float, float]:
    """Return the exact (Clopper and Pearson) 95 % interval of a share."""
    low = beta.ppf(0.025, x, n - x + 1) if x else 0.0
    high = beta.ppf(0.975, x + 1, n - x) if x < n else 1.0
    return float(low), float(high)


def _share(found: Iterable[Seen]) -> str:
    found = list(found)
    seen, n = sum(one.delay is not None for one in found), len(found)
    if not n:
        return "none"
    low, high = share_interval(seen, n)
    return f"{seen / n:.1%} ({low:.1%} to {high:.1%})"


def _alarms(numbers: Sequence[int]) -> str:
    low, high = rate_interval(sum(numbers), len(numbers))
    return f"{np.mean(numbers):.2f} ({low:.2f} to {high:.2f})"


def _print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    for row in (header, ["---"] * len(header), *rows):
        print(f"| {' | '.join(row)} |")
    print()


def _delays(found: Iterable[Seen]) -> str:
    delays = [one.delay for one in found if one.delay is not None]
    return f"{np.median(delays):.0f}, {np.mean(delays):.1f}" if delays else "none"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=600, help="clean stream-years (default: 600)")
    parser.add_argument("--incidents", type=int, default=80, help="streams of each incident (default: 80)")
    parser.add_argument("--budgets", action="store_true", help="measure several fa_per_year instead")
    arguments = parser.parse_args()
    rules: dict[str, Rule] = RULES
    if arguments.budgets:
        rules = {
            f"fa_per_year = {one}": partial(this_project, thresholds=Thresholds(fa_per_year=one)) for one in BUDGETS
        }
    cases = [(incident, number) for incident in Incident for number in range(arguments.incidents)]
    rows = []
    details: list[Seen] = []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for name, rule in rules.items():
            years = list(
                tqdm(pool.map(partial(clean, rule), range(arguments.streams), chunksize=5), name, arguments.streams)
            )
            found = list(tqdm(pool.map(partial(broken, rule), cases, chunksize=5), name, len(cases)))
            visible = [one for one in found if one.is_visible]
            rows.append([name, _alarms(years), _share(visible), _share(found), _delays(visible)])
            details = found
    _print_table(
        [
            "rule",
            "false alarms per stream-year",
            "visible incidents seen",
            "all incidents seen",
            "delay, days: median, mean",
        ],
        rows,
    )
    if arguments.budgets:
        return
    by_incident = {one: [seen for seen in details if seen.incident is one and seen.is_visible] for one in Incident}
    _print_table(
        ["incident", "visible", "seen by this project", "delay, days: median, mean"],
        ([one, str(len(seen)), _share(seen), _delays(seen)] for one, seen in by_incident.items()),
    )
    edges = (8, 100, 1_000, 10_000, 60_000)
    volumes = [(low, high, [one for one in details if low <= one.per_day < high]) for low, high in pairwise(edges)]
    _print_table(
        ["messages a day", "incidents", "visible", "visible ones seen by this project"],
        (
            [
                f"{low:,} to {high:,}",
                str(len(found)),
                str(sum(one.is_visible for one in found)),
                _share(one for one in found if one.is_visible),
            ]
            for low, high, found in volumes
        ),
    )
    print(f"{arguments.streams} stream-years of {YEAR} days, {len(cases)} incidents; 95 % intervals.")


if __name__ == "__main__":
    main()
