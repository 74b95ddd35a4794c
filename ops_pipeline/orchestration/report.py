"""The report as an asset: its figures, and the page where a folder is named for it."""

from datetime import date
from pathlib import Path

import dagster as dg

from ops_pipeline.contract.days import REPORTED_DAYS, parse_day
from ops_pipeline.contract.environment import Name, first_day, value
from ops_pipeline.contract.errors import error_boundary
from ops_pipeline.health.replay import days_per_status, episodes
from ops_pipeline.orchestration.assets import (
    OWNERS,
    PUBLISHED,
    TAGS,
    delivered_totals,
    hold_suppression_rates,
    second_touch_summaries,
)
from ops_pipeline.orchestration.partitions import utc_days
from ops_pipeline.orchestration.resources import Deployment
from ops_pipeline.store.engine import reading
from ops_pipeline.store.report_data import ReportData, read_report_data
from ops_pipeline.store.results import last_judged_day

NEWEST_PAGE = "index.html"


@dg.asset(
    partitions_def=utc_days,
    deps=[delivered_totals, hold_suppression_rates, second_touch_summaries],
    group_name=PUBLISHED,
    kinds={"python"},
    owners=OWNERS,
    tags=TAGS,
    # The verdict is a check, on which nothing can depend; of the steps that are ready the report is the last.
    op_tags={"dagster/priority": "-1"},
    description=(
        f"Status and since when, and the {REPORTED_DAYS} days that end with the UTC day. Where OPS_REPORT_DIR names "
        "a folder, it is written there as one HTML page for each day, and the newest as index.html."
    ),
)
@error_boundary
def report(context: dg.AssetExecutionContext, deployment: Deployment) -> dg.MaterializeResult[None]:
    """Read what is stored, and write the page where it is wanted."""
    day = parse_day(context.partition_key)
    with reading(deployment.engine()) as connection:
        reported = read_report_data(connection, day, REPORTED_DAYS, first_day=first_day())
        newest = last_judged_day(connection)
    pages = _write(reported, is_newest=newest is None or newest <= day)
    return dg.MaterializeResult(metadata={**_figures(reported), "pages": pages})


def _write(reported: ReportData, *, is_newest: bool) -> int:
    """Return how many pages were written. Raises OpsError `report_missing` or `file_not_written`."""
    folder = value(Name.OPS_REPORT_DIR)
    if folder is None:
        return 0
    from ops_pipeline.contract.files import PUBLIC, write_whole
    from ops_pipeline.report.report_page import report_page

    page = report_page(reported)
    names = [f"{reported.as_of}.html", *([NEWEST_PAGE] if is_newest else [])]
    for name in names:
        write_whole(Path(folder) / name, page, mode=PUBLIC)
    return len(names)


def _figures(reported: ReportData) -> dict[str, int | str]:
    verdicts, verdict = list(reported.verdicts.values()), reported.verdict
    since: date | None = verdict.since if verdict else None
    return {
        **({"status": verdict.status.value, "reason": verdict.reason.value} if verdict else {}),
        **({"since": since.isoformat()} if since else {}),
        **{f"days_{status}": days for status, days in days_per_status(verdicts).items()},
        "days_not_judged": len(reported.days) - len(verdicts),
        "episodes": len(episodes(verdicts)),
    }
