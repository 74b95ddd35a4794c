"""Small line charts as images inside Markdown, for people who look at an asset in the Dagster UI.

They are written by hand as SVG: a drawing library would take most of a run's time, and its pictures most of its log.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import date

from ops_pipeline.contract.lines import as_text

# An image does not know whether the page around it is light or dark: these can be seen on both.
_COLOURS = ("#3b82c4", "#d9541e", "#8b949e", "#2a9d6f")
_GREY = "#868e98"
_WIDTH, _HEIGHT = 480, 120
_LEFT, _TOP, _BOTTOM = 8, 24, 20
_LETTER = 7
_DIGITS = 4


def sparkline(words: str, days: Sequence[date], lines: Mapping[str, Sequence[float | None]]) -> str:
    """Return each line's figures, one for each of `days`, as a picture in Markdown under the heading `words`.

    A day without a figure is a gap.
    """
    image = base64.b64encode(_svg(days, lines).encode()).decode()
    return f"**{words}**\n\n![{words}](data:image/svg+xml;base64,{image})"


def _svg(days: Sequence[date], lines: Mapping[str, Sequence[float | None]]) -> str:
    highest = max([figure for figures in lines.values() for figure in figures if figure is not None], default=0)
    base = _HEIGHT - _BOTTOM
    parts = [f'<path d="M{_LEFT} {_TOP}H{_WIDTH - _LEFT}M{_LEFT} {base}H{_WIDTH - _LEFT}" stroke="{_GREY}40"/>']
    at = _LEFT
    for colour, (name, figures) in zip(_COLOURS, lines.items(), strict=False):
        parts.append(f'<text x="{at}" y="{_TOP - 10}" fill="{colour}">{name}</text>')
        at += _LETTER * (len(name) + 2)
        if path := _path(figures, highest):
            parts.append(f'<path d="{path}" stroke="{colour}"/>')
    top = as_text(highest if isinstance(highest, int) else round(highest, _DIGITS))
    ends = [(top, _TOP - 10), *((str(day), _HEIGHT - 5) for day in days[-1:])]
    texts = "".join(f'<text x="{_WIDTH - _LEFT}" y="{y}">{text}</text>' for text, y in ends)
    parts.append(f'<g fill="{_GREY}" text-anchor="end">{texts}</g>')
    style = 'font-family="sans-serif" font-size="12" fill="none" stroke-width="2" stroke-linecap="round"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" {style}>{"".join(parts)}</svg>'
    )


def _path(figures: Sequence[float | None], highest: float) -> str:
    """Return the line through the figures, in steps relative to the last; a single one between gaps is a dot."""
    commands, last = "", None
    for number, figure in enumerate(figures):
        if figure is None:
            last = None
            continue
        across = _LEFT + round((_WIDTH - 2 * _LEFT) * number / max(len(figures) - 1, 1))
        up = _HEIGHT - _BOTTOM - round((_HEIGHT - _BOTTOM - _TOP) * (figure / highest if highest else 0))
        commands += f"M{across} {up}h0" if last is None else f"l{across - last[0]} {up - last[1]}"
        last = across, up
    return commands.replace(" -", "-")
