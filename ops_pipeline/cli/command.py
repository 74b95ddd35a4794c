"""What all commands share: arguments, the one error boundary, lines and exit codes.

A command is a function from parsed arguments and an output to an exit code. Whatever it raises becomes one line.
"""

from __future__ import annotations

import _thread
import argparse
import atexit
import os
import signal
import sys
import warnings

from ops_pipeline.contract.errors import OpsError, silence_libraries, to_ops_error
from ops_pipeline.contract.lines import ExitCode, Format, Line, LineName, NagiosState, Output, write_text
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label
from ops_pipeline.contract.waits import stopped, told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

_STANDARD_ERROR = 2
_SOON_SECONDS = 0.01
_HELP_WIDTH = 120


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help as it is written; of a fixed width, since asking for the terminal's costs a tenth of the start."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_HELP_WIDTH)


class _Parser(argparse.ArgumentParser):
    """argparse, but a usage error is exit 1 and one line: exit 2 means unhealthy here."""

    def error(self, message: str) -> NoReturn:  # noqa: ARG002 - the message quotes what was typed
        raise OpsError(Reason.USAGE)

    def print_help(self, _file: object = None) -> None:
        """Print the help as a tool prints all that it says."""
        write_text(self.format_help())

    def parse(self, argv: Sequence[str] | None) -> argparse.Namespace:
        """Parse `argv`. Raises OpsError `usage`, naming the option where one of ours is at fault."""
        try:
            return self.parse_args(argv)
        except argparse.ArgumentError as error:
            # Newer versions of Python raise it for what is missing too, and then it names none.
            option = Label.or_none((error.argument_name or "").split("/")[-1].lstrip("-").replace("-", "_").lower())
        raise OpsError(Reason.USAGE) if option is None else OpsError(Reason.USAGE, option=option)


class Command:
    """One tool. `run` gets the parsed arguments and the output, says lines and returns the exit code."""

    def __init__(
        self,
        *,
        name: str,
        line: LineName,
        description: str,
        epilog: str,
        add_arguments: Callable[[argparse.ArgumentParser], None],
        run: Callable[[argparse.Namespace, Output], int],
        failure_line: Callable[[argparse.Namespace], tuple[LineName, dict[str, object]]] | None = None,
        nagios_failure: NagiosState | None = None,
        exposes_samples: bool = False,
        uses_libraries: bool = True,
    ) -> None:
        """Make a command.

        `line` is the line that says that the tool failed; where that depends on the arguments, `failure_line` gives
        it with fields that come before its reason. `nagios_failure` is what a failure means to a monitoring system;
        without it the tool has no such format, as it has none for Prometheus unless it `exposes_samples`. A tool of
        the standard library alone has no library to silence.
        """
        self.name = name
        self.line = line
        self.description = description
        self.epilog = epilog
        self.add_arguments = add_arguments
        self.run = run
        self.failure_line = failure_line
        self.nagios_failure = nagios_failure
        self.exposes_samples = exposes_samples
        self.uses_libraries = uses_libraries

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Run the command with `argv` (default: the process's own) and return its exit code; raises nothing."""
        stopped.clear()
        _quieten()
        if self.uses_libraries:
            _silence_log()
        run = _Run(self, sys.argv[1:] if argv is None else argv)
        try:
            exit_code = run.main()
        except KeyboardInterrupt:
            # Once more, while the first one was being dealt with.
            _ignore_signals()
            exit_code = run.fail(OpsError(Reason.INTERRUPTED))
        _finish_undisturbed()
        return exit_code

    def parser(self) -> _Parser:
        """Return the parser of the command's arguments."""
        parser = _Parser(
            prog=f"ops-pipeline {self.name}",
            description=self.description,
            epilog=self.epilog,
            formatter_class=_Help,
            exit_on_error=False,
            allow_abbrev=False,
        )
        self.add_all_arguments(parser)
        return parser

    def add_all_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments that every command has, then the command's own."""
        parser.add_argument(
            "--format",
            choices=[form.value for form in self._formats()],
            default=Format.LINE.value,
            help="key=value lines (the default), a JSON object for each line"
            + (", or one line for a monitoring system" if self.nagios_failure is not None else "")
            + (", or the samples themselves for Prometheus" if self.exposes_samples else ""),
        )
        parser.add_argument(
            "--json", dest="format", action="store_const", const=Format.JSON.value, help="short for --format=json"
        )
        parser.add_argument(
            "--quiet",
            action="store_true",
            help="say nothing if the exit code is 0, else only what decided it",
        )
        self.add_arguments(parser)

    def _formats(self) -> list[Format]:
        special = {Format.NAGIOS: self.nagios_failure is not None, Format.PROM: self.exposes_samples}
        return [form for form in Format if special.get(form, True)]

    def output(self, form: str, *, is_quiet: bool) -> Output:
        """Return the output that the arguments ask for."""
        failure = NagiosState.UNKNOWN if self.nagios_failure is None else self.nagios_failure
        return Output(Format(form), is_quiet=is_quiet, failure=failure)

    def output_for_usage_error(self, argv: Sequence[str]) -> Output:
        """Return the output that a command line which cannot be parsed asks for."""
        asked = [form for form in self._formats() if f"--{form}" in argv or f"--format={form}" in argv]
        return self.output(asked[-1] if asked else Format.LINE, is_quiet=False)


class _Run:
    """One run of a command: what it says where it fails, as far as that is known yet."""

    def __init__(self, command: Command, argv: Sequence[str]) -> None:
        self._command = command
        self._argv = argv
        self._output = command.output_for_usage_error(argv)
        self._name = command.line
        self._fields: dict[str, object] = {}

    def main(self) -> int:
        """Run it and return its exit code; whatever it raises is said."""
        try:
            return self._main()
        except SystemExit as end:  # --help
            return ExitCode.OK if end.code in (None, 0) else ExitCode.FAILED
        except BaseException as error:  # noqa: BLE001 - the outermost boundary
            # Libraries turn an interrupt into errors of their own: whatever failed after one failed by it.
            failure = OpsError(Reason.INTERRUPTED) if stopped.is_set() else to_ops_error(error)
            if failure.reason is Reason.INTERRUPTED:
                # The process ends now: another Ctrl-C cannot make it end sooner.
                _ignore_signals()
            # CPython remembers an interrupt that struck inside exec(), and would end the process by it after all.
            exec("")  # noqa: S102
        finally:
            _cancel_statements()
        return self.fail(failure)

    def fail(self, failure: OpsError) -> int:
        """Say that the command failed, and return its exit code."""
        fields = {**self._fields, "reason": failure.reason, **failure.fields}
        return print_failure(Line(self._name, status=Label("fail"), **fields), self._output)

    def _main(self) -> int:
        arguments = self._command.parser().parse(self._argv)
        self._output = self._command.output(arguments.format, is_quiet=arguments.quiet)
        if self._command.failure_line:
            self._name, self._fields = self._command.failure_line(arguments)
        with told(self._output.say_wait):
            return self._command.run(arguments, self._output)


def print_text(text: str) -> int:
    """Print text of our own and return the exit code."""
    try:
        write_text(text)
    except OpsError:
        return ExitCode.FAILED
    return ExitCode.OK


def print_failure(line: Line, output: Output | None = None) -> int:
    """Print the line that says why a tool failed and return the exit code."""
    try:
        return (output or Output()).finish(line, ExitCode.FAILED)
    except OpsError:  # nobody can be told
        return ExitCode.FAILED


def _quieten() -> None:
    """Keep warnings off the terminal, and turn SIGTERM into an orderly end."""
    _fill_streams()
    warnings.simplefilter("ignore")
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _repeat_lost_interrupt
    try:
        signal.signal(signal.SIGTERM, _interrupt)
        # A shell lets what it starts in the background ignore it.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _interrupt)
    except ValueError:  # in a thread of another program
        return


def _fill_streams() -> None:
    """Let nothing that is opened get the number of a standard stream that is closed: others write to those."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stderr is None:
        sys.stderr = open(_STANDARD_ERROR, "w", closefd=False)  # noqa: SIM115 - a number, for ever


def _silence_log() -> None:
    """Keep libraries' log records off the terminal."""
    import logging

    silence_libraries()
    if not logging.getLogger().handlers:
        logging.getLogger().addHandler(logging.NullHandler())


def _finish_undisturbed() -> None:
    """Ignore Ctrl-C while the interpreter takes itself down: everything is done and said by then."""
    atexit.unregister(_ignore_signals)
    # Last registered is first called.
    atexit.register(_ignore_signals)


def _ignore_signals() -> None:
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    except ValueError:  # in a thread of another program
        return


def _repeat_lost_interrupt(failure: sys.UnraisableHookArgs) -> None:
    """Interrupt once more where Ctrl-C struck in a destructor, which can only report it; print nothing of others."""
    import threading

    if failure.exc_type is KeyboardInterrupt:
        again = threading.Timer(_SOON_SECONDS, _thread.interrupt_main)
        again.daemon = True
        again.start()


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    stopped.set()
    raise KeyboardInterrupt


def _cancel_statements() -> None:
    """Leave no statement behind on a database server, such as that of a thread which nobody waits for any more."""
    # A tool that has not loaded it, or is loading it in a thread right now, has no connection.
    cancel_running = getattr(sys.modules.get("ops_pipeline.store.cancel"), "cancel_running", None)
    if cancel_running is not None:
        cancel_running()
