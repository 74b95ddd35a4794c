"""Small Markdown tables of figures, for people who look at an asset or a check in the Dagster UI."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ops_pipeline.contract.lines import NONE


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; absent values read `none`, rates have four decimals."""
    lines = [_row(header), _row(["---"] * len(header)), *(_row(map(_cell, row)) for row in rows)]
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: object) -> str:
    match value:
        case None:
            return NONE
        case float():
            return f"{value:.4f}"
        case int():
            return f"{value:,}"
        case _:
            return str(value)
