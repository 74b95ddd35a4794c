"""The boundary around processes that are not ours: Dagster's web server, daemon and run workers.

They log and store what they catch, and print what nobody caught. So a database's error loses its text where
SQLAlchemy raises it, what nobody catches is one line, and the libraries that hold secrets log nothing.

Where others share an instance with us, our storage is loaded in their code servers and run workers too: there it
guards its own connections alone, and what they raise and print is theirs.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

from ops_pipeline.contract.errors import SHOWS_DETAILS, redact, silence_libraries, to_ops_error
from ops_pipeline.contract.lines import ExitCode, Line, LineName, Output
from ops_pipeline.contract.tokens import Label

# As `dagster-webserver` and `python -m dagster_webserver`; user code is in processes of its own.
_HOSTS = ("dagster-webserver", "dagster_webserver", "dagster-daemon", "_daemon")
_OUR_CODE = "ops_pipeline.definitions"


def guard_process() -> None:
    """Scrub the errors of every engine in this process, print one line for what nobody catches, silence libraries."""
    if SHOWS_DETAILS or event.contains(Engine, "handle_error", redact_context):
        return
    event.listen(Engine, "handle_error", redact_context)
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _print_failure
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _print_failure_of_thread
    silence_libraries()


def guard_process_of_ours() -> None:
    """Guard this process where it holds no code of others: a web server, a daemon, or what our own code runs in."""
    program = Path(sys.argv[0])
    name = program.parent.name if program.name == "__main__.py" else program.name
    arguments = sys.argv[1:]
    if name in _HOSTS or arguments[:1] == ["dev"] or any(_OUR_CODE in argument for argument in arguments):
        guard_process()


def guard_engine(engine: Engine) -> None:
    """Scrub the errors of one engine."""
    if not SHOWS_DETAILS and not event.contains(engine, "handle_error", redact_context):
        event.listen(engine, "handle_error", redact_context)


@contextmanager
def every_engine_guarded() -> Iterator[None]:
    """Scrub the errors of every engine meanwhile: of those that a library makes for itself."""
    if SHOWS_DETAILS or event.contains(Engine, "handle_error", redact_context):
        yield
        return
    event.listen(Engine, "handle_error", redact_context)
    try:
        yield
    finally:
        event.remove(Engine, "handle_error", redact_context)


def redact_context(context: ExceptionContext) -> None:
    """Put reasons in place of what the driver and SQLAlchemy said."""
    for error in (context.sqlalchemy_exception, context.original_exception):
        if error is not None:
            redact(error)


def _print_failure(_kind: type[BaseException], error: BaseException, _traceback: TracebackType | None) -> None:
    failure = to_ops_error(error)
    line = Line(LineName.OPS_PIPELINE, status=Label("fail"), reason=failure.reason, **failure.fields)
    Output().finish(line, ExitCode.FAILED)


def _print_failure_of_thread(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_value is not None:
        _print_failure(failed.exc_type, failed.exc_value, failed.exc_traceback)
