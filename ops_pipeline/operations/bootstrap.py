"""Bringing the ops database to the newest revision, and the lines that say how it went."""

from __future__ import annotations

from ops_pipeline.contract.lines import Line, LineName
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label
from ops_pipeline.contract.waits import retried
from ops_pipeline.store.limits import LOCK_WAIT_SECONDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

APPLY_MIGRATIONS = Label("apply_migrations")

_OK = Label("ok")


def dry_run(*, lints: bool = False) -> Line:
    """Check the revisions without a database, and return the line that says so. Raises as `check_revisions` does."""
    from ops_pipeline.store.revisions import check_revisions

    return Line(LineName.DB_BOOTSTRAP_DRY_RUN, status=_OK, migrations=len(check_revisions(lints=lints)))


def apply(*, lock_wait_seconds: float = LOCK_WAIT_SECONDS, prepare: Callable[[], None] | None = None) -> Line:
    """Apply the pending revisions, then let `prepare` make Dagster's tables; return the line that says so.

    Raises as `apply_migrations` and `prepare` do.
    """
    from ops_pipeline.store.engine import ops_engine
    from ops_pipeline.store.migrate import apply_migrations

    done = retried(
        lambda: apply_migrations(ops_engine(), lock_wait_seconds=lock_wait_seconds),
        # How long to wait for another bootstrap was said.
        but_not=(Reason.LOCK_TIMEOUT,),
    )
    fields: dict[str, object] = {"applied": done.applied, "skipped": done.skipped}
    if prepare is not None:
        retried(prepare)
        fields["dagster"] = Label("ready")
    return Line(LineName.DB_BOOTSTRAP, status=_OK, mode=APPLY_MIGRATIONS, **fields)
