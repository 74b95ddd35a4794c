"""What all commands share: arguments, the one error boundary, lines and exit codes.

A command is a function from parsed arguments to an exit code that emits lines. Whatever it raises becomes one line.
"""

from __future__ import annotations

import _thread
import argparse
import atexit
import logging
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from ops_pipeline.contract.errors import OpsError, as_declared
from ops_pipeline.contract.lines import ExitCode, Line, LineName, emit
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Label, is_label

_SOON_SECONDS = 0.01


class _Parser(argparse.ArgumentParser):
    """argparse, but a usage error is exit 1 and one line: exit 2 means unhealthy here."""

    def error(self, message: str) -> NoReturn:  # noqa: ARG002 - the message quotes what was typed
        raise OpsError(Reason.USAGE)

    def parse(self, argv: Sequence[str] | None) -> argparse.Namespace:
        """Parse `argv`. Raises OpsError `usage`, naming the option where one of ours is at fault."""
        try:
            return self.parse_args(argv)
        except argparse.ArgumentError as error:
            option = (error.argument_name or "").split("/")[-1].lstrip("-").replace("-", "_").lower()
        raise OpsError(Reason.USAGE, option=Label(option) if is_label(option) else None)


@dataclass(frozen=True, kw_only=True)
class Command:
    """One tool. `run` gets the parsed arguments, emits lines and returns the exit code."""

    name: str
    line: LineName
    """The line that says that the tool failed."""
    description: str
    epilog: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    failure_line: Callable[[argparse.Namespace], tuple[LineName, dict[str, object]]] | None = None
    """Where it depends on the arguments: that line's name, and fields before its reason, such as the mode."""

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Run the command with `argv` (default: the process's own) and return its exit code; raises nothing."""
        _quieten()
        try:
            return self._main(argv)
        finally:
            _finish_undisturbed()

    def _main(self, argv: Sequence[str] | None) -> int:
        as_json = "--json" in (sys.argv[1:] if argv is None else argv)
        name: LineName = self.line
        fields: dict[str, object] = {}
        try:
            arguments = self._parser().parse(argv)
            if self.failure_line:
                name, fields = self.failure_line(arguments)
            return self.run(arguments)
        except SystemExit as end:  # --help
            return ExitCode.OK if end.code in (None, 0) else ExitCode.FAILED
        except BaseException as error:  # noqa: BLE001 - the outermost boundary
            failure = as_declared(error)
            # CPython remembers an interrupt that struck inside exec(), and would end the process by it after all.
            exec("")  # noqa: S102
            fields |= {"reason": failure.reason, **failure.fields}
        emit(Line(name, status=Label("fail"), **fields), as_json=as_json)
        return ExitCode.FAILED

    def _parser(self) -> _Parser:
        parser = _Parser(
            prog=f"ops-pipeline {self.name}",
            description=self.description,
            epilog=self.epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            exit_on_error=False,
            allow_abbrev=False,
        )
        parser.add_argument("--json", action="store_true", help="print each line as one JSON object")
        self.add_arguments(parser)
        return parser


def _quieten() -> None:
    """Keep libraries' warnings and log records off the terminal, and turn SIGTERM into an orderly end."""
    warnings.simplefilter("ignore")
    if not logging.getLogger().handlers:
        logging.getLogger().addHandler(logging.NullHandler())
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _repeat_lost_interrupt
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)


def _finish_undisturbed() -> None:
    """Ignore Ctrl-C while the interpreter takes itself down: everything is done and said by then."""
    atexit.unregister(_ignore_signals)
    # Last registered is first called.
    atexit.register(_ignore_signals)


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _repeat_lost_interrupt(failure: sys.UnraisableHookArgs) -> None:
    """Interrupt once more where Ctrl-C struck in a destructor, which can only report it; print nothing of others."""
    if failure.exc_type is KeyboardInterrupt:
        again = threading.Timer(_SOON_SECONDS, _thread.interrupt_main)
        again.daemon = True
        again.start()


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
