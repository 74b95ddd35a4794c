"""Pages that can be mailed or published: one file without script, with nothing from elsewhere and no text of others.

A template's own text is written in it. What is put in is a value as a line may hold it, or a drawing from here.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.lines import Line, as_text
from ops_pipeline.contract.reasons import Reason

_TEMPLATES = Path(__file__).parent / "templates"


def rendered(template: str, **values: object) -> str:
    """Return the page. Raises TypeError where a value is put in that no line may hold."""
    pages = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {"spoken": _spoken, "means": _means, "next_step": _next_step, "line": _line}
    return pages.get_template(template).render(values)


def drawn(chart: Any) -> Markup:
    """Return an Altair chart as SVG for a page that says in words what it shows. Raises OpsError `report_missing`."""
    svg: str = library("vl_convert").vegalite_to_svg(chart.to_json(validate=False))
    _, _, content = svg.partition(">")
    size = re.search(r'viewBox="[\d. ]+"', svg)
    # The namespaces are those of a file; inside a page they would only be addresses of somebody else.
    start = f'<svg {size[0] if size else ""} aria-hidden="true" focusable="false">'
    return Markup(start + content)  # noqa: S704 - Vega's own, of numbers and declared words


def library(name: str) -> Any:
    """Return the library of the extra `report`. Raises OpsError `report_missing`."""
    try:
        return importlib.import_module(name)
    except ImportError:
        pass
    raise OpsError(Reason.REPORT_MISSING)


def _shown(value: object) -> object:
    return value if isinstance(value, Markup) else as_text(value)


def _spoken(word: object) -> Markup:
    return escape(as_text(word).replace("_", " "))


def _means(reason: Reason) -> Markup:
    return escape(reason.means)


def _next_step(reason: Reason) -> Markup:
    return escape(reason.next_step)


def _line(line: Line) -> Markup:
    return escape(str(line))
