"""The breakdown by segment: no small cell can be computed from what was published, not even over several days' looks.

Whoever reads it is taken to know the rule, the exact totals, and everything that was published before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_pipeline.health.segments import Breakdown, break_down

Cells = tuple[int, ...]
"""Events of each declared segment, and, last, of none."""


def _published(cells: Cells, min_cell: int, before: Breakdown | None = None) -> Breakdown:
    named = {f"s{number}": events for number, events in enumerate(cells[:-1])}
    return break_down(named, sum(cells), min_cell, before)


def _seen(breakdown: Breakdown) -> object:
    return breakdown.total, tuple(sorted(breakdown.by_segment.items()))


def _all_cells(segments: int, most: int) -> list[Cells]:
    return [cells for cells in product(range(most + 1), repeat=segments + 1) if sum(cells) <= most]


def _assert_open(groups: Mapping[object, list[Cells]], min_cell: int) -> None:
    """Whatever is published, each small figure could be another one."""
    for seen, possible in groups.items():
        for figure in zip(*possible, strict=True):
            values = set(figure)
            assert len(values) > 1 or abs(figure[0]) >= min_cell, (seen, possible)


@pytest.mark.parametrize(
    ("segments", "min_cell", "most"), [(1, 3, 20), (2, 2, 12), (2, 3, 14), (3, 2, 9), (3, 4, 12)]
)
def test_no_small_cell_can_be_computed(segments: int, min_cell: int, most: int) -> None:
    groups = defaultdict(list)
    for cells in _all_cells(segments, most):
        # Totals are exact: where there are none, there are none of any segment.
        if sum(cells):
            groups[_seen(_published(cells, min_cell))].append(cells)
    assert len(groups) > most
    _assert_open(groups, min_cell)


@pytest.mark.parametrize(("segments", "min_cell", "most"), [(1, 2, 12), (2, 2, 8), (2, 3, 10)])
def test_no_small_cell_and_no_small_difference_can_be_computed_after_late_data(
    segments: int, min_cell: int, most: int
) -> None:
    groups = defaultdict(list)
    for first, second in product(_all_cells(segments, most), repeat=2):
        if sum(first) and sum(second):
            before = _published(first, min_cell)
            after = _published(second, min_cell, before)
            late = tuple(new - old for old, new in zip(first, second, strict=True))
            groups[_seen(before), _seen(after)].append((*first, *second, *late))
    assert any(before != after for before, after in groups)
    _assert_open(groups, min_cell)


counts = st.integers(0, 15) | st.integers(0, 5000)
cells_of_three = st.tuples(counts, counts, counts, counts)


@given(st.lists(cells_of_three, min_size=1, max_size=5), st.integers(1, 30))
def test_totals_are_exact_and_nothing_small_or_negative_is_ever_named(looks: list[Cells], min_cell: int) -> None:
    before = None
    for cells in looks:
        found = _published(cells, min_cell, before)
        assert found.total == sum(cells) == sum(found.by_segment.values()) + found.other
        assert all(events >= min_cell for events in found.by_segment.values())
        assert not found.by_segment or found.other >= min_cell
        if before is not None:
            assert found.by_segment.keys() <= before.by_segment.keys(), "what was folded stays folded"
            for name, events in found.by_segment.items():
                change = abs(events - before.by_segment[name])
                assert change == 0 or change >= min_cell
        before = found


@given(cells_of_three, st.integers(1, 30))
def test_the_same_counts_again_change_nothing(cells: Cells, min_cell: int) -> None:
    found = _published(cells, min_cell)
    assert _published(cells, min_cell, found) == found


def _named(found: Breakdown) -> dict[str, int]:
    return {**found.by_segment, "other": found.other}


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"email": 100, "sms": 50}, {"email": 100, "sms": 50, "other": 30}),
        ({"email": 100, "sms": 9}, {"email": 100, "other": 80}),
        ({"email": 150, "sms": 25}, {"email": 150, "other": 30}),
        ({"email": 4, "sms": 0}, {"other": 180}),
    ],
    ids=["all_are_large", "one_is_small", "the_rest_is_small", "all_are_small"],
)
def test_of_a_day_with_180_deliveries(cells: dict[str, int], expected: dict[str, int]) -> None:
    assert _named(break_down(cells, 180, 10)) == expected


def _days(changes: Iterable[dict[str, int]]) -> list[dict[str, int]]:
    before = break_down({"email": 100, "sms": 50}, 180, 10)
    found = []
    for cells in changes:
        before = break_down({"email": cells["email"], "sms": cells["sms"]}, sum(cells.values()), 10, before)
        found.append(_named(before))
    return found


def test_late_data_restates_a_segment_only_where_the_difference_is_not_small() -> None:
    assert _days([{"email": 103, "sms": 50, "none": 30}]) == [{"email": 100, "sms": 50, "other": 33}]
    assert _days([{"email": 120, "sms": 50, "none": 45}]) == [{"email": 120, "sms": 50, "other": 45}]
    # All the late events are e-mails: to say so would say that there is none of the others.
    assert _days([{"email": 120, "sms": 50, "none": 30}]) == [{"email": 100, "sms": 50, "other": 50}]


def test_a_segment_that_appears_or_is_declared_later_stays_folded_on_that_day() -> None:
    before = break_down({"email": 100}, 180, 10)
    assert _named(break_down({"email": 100, "sms": 60}, 180, 10, before)) == {"email": 100, "other": 80}


def test_each_figure_is_a_pure_function_of_what_it_gets() -> None:
    build: Callable[[], Breakdown] = lambda: break_down({"b": 20, "a": 20, "c": 5}, 48, 10)  # noqa: E731
    assert {_seen(build()) for _ in range(3)} == {(48, (("b", 20),))}
