"""Charts as images inside Markdown, for people who look at an asset in the Dagster UI."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

from markupsafe import Markup

from ops_pipeline.contract.errors import OpsError

_COLOURS = {"healthy": "#3b82c4", "insufficient": "#8b949e", "unhealthy": "#d9541e", "grid": "#8b949e40"}
_REST = "#868e98"
"""An image does not know whether the page around it is light or dark: these can be seen on both."""
_ATTRIBUTES = 'xmlns="http://www.w3.org/2000/svg" width="560"'


def markdown_image(draw: Callable[[], Markup], words: str) -> str | None:
    """Return the chart as Markdown under the heading `words`; None: the extra `report` is not installed."""
    try:
        chart = str(draw())
    except OpsError:
        return None
    coloured = re.sub(r"var\(--(\w+)\)|currentColor", lambda found: _COLOURS.get(found[1] or "", _REST), chart)
    image = base64.b64encode(coloured.replace("<svg ", f"<svg {_ATTRIBUTES} ", 1).encode()).decode()
    return f"**{words}**\n\n![{words}](data:image/svg+xml;base64,{image})"
