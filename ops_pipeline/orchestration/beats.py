"""Which runs are alive: a process that executes a run says so every ten seconds, by the database's clock.

Dagster knows of a run that was killed only where its launcher can ask for the process; its default one cannot, and
nobody launches a run from the command line. A beat is a row of Dagster's table `run_tags`: it goes with its run, and
changes nothing that Dagster rewrites as a whole.

The race, and how it ends. A process that lives and cannot write (suspended, or cut off from the database) for longer
than a minute looks dead, and its run is marked. Where it goes on after all, its run ends as it ends, and the day may
be done twice: both publish it in one transaction, with the same result. A server that was restarted gets a minute in
which all who live can say so, and who was silent is looked at twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

import dagster as dg
from sqlalchemy import Connection, text

BEAT_SECONDS = 10
SILENT_SECONDS = 60
"""A run whose process has said nothing for so long is dead."""

KEY = ".dagster/ops_pipeline_beat"
"""The hidden tag whose value is when the run was last alive, in seconds since 1970."""

_NOW = "CAST(extract(epoch FROM clock_timestamp()) AS text)"
_BEAT = text(f"UPDATE run_tags SET value = {_NOW} WHERE run_id = :run_id AND key = :key")  # noqa: S608
_FIRST_BEAT = text(f"INSERT INTO run_tags (run_id, key, value) VALUES (:run_id, :key, {_NOW})")  # noqa: S608
_FORGET = text("DELETE FROM run_tags WHERE run_id = :run_id AND key = :key")
_SILENT = text("""
    SELECT * FROM (
        SELECT run_id, status, value, extract(epoch FROM clock_timestamp())
            - greatest(CAST(value AS double precision), extract(epoch FROM pg_postmaster_start_time())) AS seconds
        FROM runs JOIN run_tags USING (run_id)
        WHERE key = :key AND status IN ('STARTING', 'STARTED', 'CANCELING')
    ) AS beats
    WHERE seconds >= CASE status WHEN 'STARTING' THEN :starting_seconds ELSE :silent_seconds END
    ORDER BY seconds DESC
""")
# Who marks a run says so by a beat: two never mark the same one, and where that one dies too, the next comes in turn.
_CLAIM = text(f"""
    UPDATE run_tags SET value = {_NOW} FROM runs
    WHERE runs.run_id = run_tags.run_id AND run_tags.run_id = :run_id AND key = :key AND value = :value
        AND status IN ('STARTING', 'STARTED', 'CANCELING')
""")  # noqa: S608


@dataclass(frozen=True, slots=True)
class SilentRun:
    """A run that says nothing any more."""

    run_id: str
    status: dg.DagsterRunStatus
    beat: str
    """Its last beat, as it is stored."""
    seconds: int
    """How long ago that was."""


class Beats:
    """The beats in one storage of Dagster's, to which `connect` connects."""

    def __init__(self, connect: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._connect = connect
        self._running: dict[str, threading.Event] = {}

    def note(self, run_id: str) -> None:
        """Note that a run is alive now."""
        bound = {"run_id": run_id, "key": KEY}
        with self._connect() as connection:
            if not connection.execute(_BEAT, bound).rowcount:
                connection.execute(_FIRST_BEAT, bound)

    def keep(self, run_id: str) -> None:
        """Note it every ten seconds, for as long as this process lives and the run has not ended."""
        has_ended = self._running[run_id] = threading.Event()
        threading.Thread(target=self._beat, args=(run_id, has_ended), daemon=True).start()

    def _beat(self, run_id: str, has_ended: threading.Event) -> None:
        while not has_ended.wait(BEAT_SECONDS):
            # Whatever the driver raises: the next time may succeed, and until then the run looks as it is, cut off.
            with suppress(Exception), self._connect() as connection:
                connection.execute(_BEAT, {"run_id": run_id, "key": KEY})

    def forget(self, run_id: str) -> None:
        """Forget a run that has ended."""
        has_ended = self._running.pop(run_id, None)
        if has_ended is not None:
            has_ended.set()
        with self._connect() as connection:
            connection.execute(_FORGET, {"run_id": run_id, "key": KEY})

    def silent(self, starting_seconds: int) -> list[SilentRun]:
        """Return the runs that have not ended and are silent, the longest first.

        A process has `starting_seconds` until it says that its run has started.
        """
        bound = {"key": KEY, "silent_seconds": SILENT_SECONDS, "starting_seconds": starting_seconds}
        with self._connect() as connection:
            return [
                SilentRun(row.run_id, dg.DagsterRunStatus(row.status), row.value, int(row.seconds))
                for row in connection.execute(_SILENT, bound)
            ]

    def claim(self, run: SilentRun) -> bool:
        """Return whether this caller is to mark the run: it is as silent as it was, and nobody else does."""
        with self._connect() as connection:
            bound = {"run_id": run.run_id, "key": KEY, "value": run.beat}
            return bool(connection.execute(_CLAIM, bound).rowcount)
