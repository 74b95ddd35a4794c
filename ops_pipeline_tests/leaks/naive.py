"""A project as one writes it in an afternoon: nothing in it is careful. It proves that leaks are seen."""

from __future__ import annotations

SETTINGS = """
storage:
  postgres:
    postgres_url: "@DSN@"
telemetry:
  enabled: false
"""

JOBS = ("count_job", "insert_job")

PROGRAM = """
import logging, os, sys, tempfile
from pathlib import Path

import dagster as dg
from sqlalchemy import create_engine, text

DSN = os.environ["OPS_POSTGRES_DSN"].replace("postgresql://", "postgresql+psycopg2://")


def execute(statement, **parameters):
    with create_engine(DSN).begin() as connection:
        return connection.execute(text(statement), parameters).all()


@dg.op
def count():
    print("counting on", DSN)
    print("counting on", DSN, file=sys.stderr)
    execute("SELECT body::int FROM app.bodies WHERE body <> :body", body=DSN)


@dg.op
def insert():
    rows = execute("SELECT 1 AS a")
    Path(tempfile.gettempdir(), "rows.csv").write_text(f"{DSN}\\n")
    logging.getLogger("naive").warning("inserting %s into %s", rows, DSN)
    with create_engine(DSN).begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS public.t (a text PRIMARY KEY)"))
        for _ in range(2):
            connection.execute(text("INSERT INTO public.t SELECT body FROM app.bodies"))


@dg.job
def count_job():
    count()


@dg.job
def insert_job():
    insert()


defs = dg.Definitions(jobs=[count_job, insert_job])

if __name__ == "__main__":
    import apprise

    apprise.Apprise(os.environ["OPS_ALERT_URLS"]).notify(f"counting on {DSN}")
    try:
        execute("SELECT 1 / 0 AS x, :dsn AS dsn", dsn=DSN)
    except Exception as error:
        print("failed:", error)
        Path("report.html").write_text(f"<p>{error}</p>")
        raise
"""
