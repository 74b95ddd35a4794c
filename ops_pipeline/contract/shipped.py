"""Files that ship with the program: inside the wheel, or at the top of a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped(name: str) -> Path:
    """Return the path of the shipped file or folder `name` (`migrations`, `dagster.yaml`, `workspace.yaml`)."""
    inside = _PACKAGE / name
    return inside if inside.exists() else _PACKAGE.parent / name
