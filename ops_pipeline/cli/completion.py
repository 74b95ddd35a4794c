"""Shell completion of the console script, made from the tools' own parsers."""

from __future__ import annotations

import argparse

import shtab

from ops_pipeline.cli.catalogue import TOOLS, commands


def completion(shell: str) -> str:
    """Return the script that completes `ops-pipeline` in `shell` (bash, zsh or tcsh)."""
    parser = argparse.ArgumentParser(prog="ops-pipeline")
    parser.add_argument("--version", action="store_true", help="print the version")
    tools = parser.add_subparsers()
    for tool, what in TOOLS.items():
        of_tool = tools.add_parser(tool, help=what)
        found = commands(tool)
        if list(found) == [tool]:
            found[tool].add_all_arguments(of_tool)
            continue
        names = of_tool.add_subparsers()
        for name, command in found.items():
            command.add_all_arguments(names.add_parser(name.removeprefix(f"{tool} "), help=command.description))
    return str(shtab.complete(parser, shell=shell))
