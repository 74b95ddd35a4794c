"""Which database a tool that only reads looks at: the configured one, or the demo's."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ops_pipeline.contract import environment
from ops_pipeline.contract.environment import Name


def add_database(parser: argparse.ArgumentParser) -> None:
    """Add the options `--mode` and `--data-dir`."""
    parser.add_argument(
        "--mode",
        choices=("prod", "ci"),
        default="prod",
        help="prod: the configured database (default); ci: the demo's and the smoke run's",
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="FOLDER",
        help="where the demo and a smoke run keep their embedded database (default: .ops_pipeline)",
    )


@contextmanager
def chosen_database(arguments: argparse.Namespace) -> Iterator[None]:
    """Have the chosen database in the environment of this process for as long as it is looked at.

    Raises OpsError `missing_env`, `embedded_missing` or `embedded_failed`.
    """
    if arguments.mode == "prod":
        environment.required_value(Name.OPS_POSTGRES_DSN)
        yield
        return
    from ops_pipeline.events.demo_database import DEFAULT_FOLDER, demo_database

    with demo_database(arguments.data_dir or DEFAULT_FOLDER):
        yield
