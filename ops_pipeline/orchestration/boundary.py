"""The boundary around processes that are not ours: Dagster's web server, daemon and run workers.

They log and store what they catch, and print what nobody caught. So a database's error loses its text where
SQLAlchemy raises it, what nobody catches is one line, and the libraries that hold secrets log nothing.
"""

import sys
import threading
from types import TracebackType

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

from ops_pipeline.contract.errors import SHOWS_DETAILS, redact, silence_libraries, to_ops_error
from ops_pipeline.contract.lines import ExitCode, Line, LineName, Output
from ops_pipeline.contract.tokens import Label


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
