"""The boundary around processes that are not ours: Dagster's web server, daemon and run workers.

They log and store what they catch, and print what nobody caught. So a database's error loses its text where
SQLAlchemy raises it, what nobody catches is one line, and the libraries that hold secrets log nothing.
"""

import sys
import threading
from types import TracebackType

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

from ops_pipeline.contract.errors import SHOWS_DETAILS, as_declared, scrub, silence_libraries
from ops_pipeline.contract.lines import ExitCode, Line, LineName, Output
from ops_pipeline.contract.words import Label


def guard_process() -> None:
    """Scrub the errors of every engine in this process, print one line for what nobody catches, silence libraries."""
    if SHOWS_DETAILS or event.contains(Engine, "handle_error", scrub_context):
        return
    event.listen(Engine, "handle_error", scrub_context)
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _say_word
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _say_word_of_thread
    silence_libraries()


def scrub_context(context: ExceptionContext) -> None:
    """Put reasons in place of what the driver and SQLAlchemy said."""
    for error in (context.sqlalchemy_exception, context.original_exception):
        if error is not None:
            scrub(error)


def _say_word(_kind: type[BaseException], error: BaseException, _traceback: TracebackType | None) -> None:
    failure = as_declared(error)
    line = Line(LineName.OPS_PIPELINE, status=Label("fail"), reason=failure.reason, **failure.fields)
    Output().decide(line, ExitCode.FAILED)


def _say_word_of_thread(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_value is not None:
        _say_word(failed.exc_type, failed.exc_value, failed.exc_traceback)
