"""What all commands share: arguments, the one error boundary, lines and exit codes.

A command is a function from parsed arguments to an exit code that emits lines. Whatever it raises becomes one line.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from ops_pipeline.contract.environment import Name, is_prod_configured, value
from ops_pipeline.contract.errors import OpsError, reason_of
from ops_pipeline.contract.lines import ExitCode, Line, LineName, emit
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Label


class _Parser(argparse.ArgumentParser):
    """argparse, but a usage error is exit 1 and one line: exit 2 means unhealthy here."""

    def error(self, message: str) -> NoReturn:  # noqa: ARG002 - the message quotes what was typed
        raise OpsError(Reason.USAGE)

    def parse_args(self, args: Sequence[str] | None = None, namespace: object = None) -> argparse.Namespace:  # type: ignore[override]
        option: str | None = None
        try:
            return super().parse_args(args)
        except argparse.ArgumentError as error:
            option = (error.argument_name or "").split("/")[0].lstrip("-").replace("-", "_").lower()
        raise OpsError(Reason.USAGE, option=Label(option) if option and option.isidentifier() else None)


@dataclass(frozen=True)
class Command:
    """One tool. `run` gets the parsed arguments and returns the exit code."""

    line: LineName
    description: str
    epilog: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    failure_fields: Callable[[argparse.Namespace], dict[str, object]] = lambda _arguments: {}
    """Further fields of the line that says why the tool failed, such as its mode."""

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Run the command with `argv` (default: the process's own) and return its exit code; raises nothing."""
        _quieten()
        parser = _Parser(
            prog=f"ops-pipeline {self.line}",
            description=self.description,
            epilog=self.epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            exit_on_error=False,
            allow_abbrev=False,
        )
        parser.add_argument("--json", action="store_true", help="print each line as one JSON object")
        self.add_arguments(parser)
        as_json = "--json" in (sys.argv[1:] if argv is None else argv)
        fields: dict[str, object] = {}
        try:
            arguments = parser.parse_args(argv)
            fields = self.failure_fields(arguments)
            return self.run(arguments)
        except SystemExit as end:
            return ExitCode.OK if end.code in (None, 0) else ExitCode.FAILED
        except OpsError as error:
            fields = {**fields, "reason": error.reason, **error.fields}
            _show_details()
        except BaseException as error:  # noqa: BLE001 - the outermost boundary
            fields = {**fields, "reason": reason_of(error)}
            _show_details()
        emit(Line(self.line, status=Label("fail"), **fields), as_json=as_json)
        return ExitCode.FAILED


def _quieten() -> None:
    """Keep libraries' warnings and log records off the terminal, and turn SIGTERM into an orderly end."""
    warnings.simplefilter("ignore")
    if not logging.getLogger().handlers:
        logging.getLogger().addHandler(logging.NullHandler())
    try:
        signal.signal(signal.SIGTERM, _terminate)
    except ValueError:  # not the main thread, as when a test calls main() there
        return


def _terminate(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _show_details() -> None:
    """Show a developer the exception on their own terminal, and nobody where production is configured."""
    if value(Name.OPS_DEBUG) == "1" and not is_prod_configured():
        traceback.print_exc()
