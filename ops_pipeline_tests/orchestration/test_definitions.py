"""What Dagster is given: names that operators and dashboards rely on, and words that explain them."""

from __future__ import annotations

import subprocess
import sys
from datetime import date

import dagster as dg
import pytest
import yaml
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._serdes import deserialize_value, serialize_value

from ops_pipeline.contract.files import package_path
from ops_pipeline.contract.vocabulary import Scope
from ops_pipeline.definitions import definitions
from ops_pipeline.health import evaluate
from ops_pipeline.orchestration import ownership

SOURCE = "delivery_events"
GROUPS = {"daily_counts": "counts"}
ASSETS = ["daily_counts", "delivered_totals", "hold_suppression_rates", "second_touch_summaries"]


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    """What the code location serves."""
    return definitions()


def test_everything_can_be_served(defs: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(defs)


def test_the_names_are_those_that_are_documented(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    assert sorted(key.to_user_string() for key in graph.get_all_asset_keys()) == sorted([SOURCE, *ASSETS, "report"])
    assert sorted(f"{key.asset_key.to_user_string()}:{key.name}" for key in graph.asset_check_keys) == [
        "daily_counts:funnel",
        "daily_counts:identity_leak",
        "daily_counts:labels",
        "daily_counts:watchdog",
        "delivered_totals:delivered_first",
        "delivered_totals:positive_rate_first",
        "hold_suppression_rates:failure_rate_first",
        "hold_suppression_rates:hold_rate_first",
        "hold_suppression_rates:suppression_rate_first",
        "second_touch_summaries:delivered_second",
        "second_touch_summaries:failure_rate_second",
        "second_touch_summaries:hold_rate_second",
        "second_touch_summaries:positive_rate_second",
        "second_touch_summaries:suppression_rate_second",
    ]
    assert sorted(job.name for job in defs.jobs or []) == [
        "db_bootstrap",
        "db_verify",
        "ops_daily",
        "prod_verify",
        "retention",
    ]
    assert [schedule.name for schedule in defs.schedules or []] == ["ops_daily_schedule", "retention_schedule"]
    assert [sensor.name for sensor in defs.sensors or []] == ["alerts", "heartbeat", "ops_daily_again", "stuck_runs"]


@pytest.mark.parametrize("name", ASSETS)
def test_each_asset_explains_itself_and_is_partitioned_by_utc_day(defs: dg.Definitions, name: str) -> None:
    node = defs.resolve_asset_graph().get(dg.AssetKey(name))
    assert isinstance(node.partitions_def, dg.DailyPartitionsDefinition)
    assert node.partitions_def.timezone == "UTC"
    assert node.description
    assert node.group_name == GROUPS.get(name, "metrics")
    assert node.tags["privacy"] == "aggregate_only"
    assert node.owners == ["team:delivery-operations"]
    assert node.kinds == {"postgres", "python"}
    columns = node.metadata["dagster/column_schema"].columns
    assert {"utc_day", "touch"} - {"touch" if name == "second_touch_summaries" else ""} <= {c.name for c in columns}
    assert all(column.description for column in columns)
    assert node.metadata["dagster/table_name"] == f"ops.{name}"


def test_the_metrics_depend_on_the_counts_alone(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    parents = {key.to_user_string(): graph.get(key).parent_keys for key in graph.get_all_asset_keys()}
    assert parents.pop(SOURCE) == set()
    assert parents.pop("daily_counts") == {dg.AssetKey(SOURCE)}
    assert parents.pop("report") == {dg.AssetKey(name) for name in ASSETS[1:]}
    assert all(keys == {dg.AssetKey("daily_counts")} for keys in parents.values())


def test_every_signal_has_a_check(defs: dg.Definitions) -> None:
    signals = evaluate([], date(2026, 11, 7)).signals
    names = {signal.name if signal.touch is Scope.BOTH else f"{signal.name}_{signal.touch}" for signal in signals}
    assert {key.name for key in defs.resolve_asset_graph().asset_check_keys} == {"watchdog", *names}


def test_every_check_says_what_it_asks(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    specs = [graph.get_check_spec(key) for key in graph.asset_check_keys]
    assert all(spec.description and spec.description.endswith(("?", "unhealthy.")) for spec in specs)
    assert not any(spec.blocking for spec in specs)


def test_where_the_data_comes_from_is_shown_and_never_run(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    assert not graph.get(dg.AssetKey(SOURCE)).is_materializable
    assert dg.AssetKey(SOURCE) not in graph.materializable_asset_keys
    assert dg.AssetKey(SOURCE) not in defs.resolve_job_def("ops_daily").asset_layer.selected_asset_keys


def test_a_code_server_can_tell_the_others_what_it_holds(defs: dg.Definitions) -> None:
    snap = RepositorySnap.from_def(defs.get_repository_def(), defer_snapshots=False)
    assert deserialize_value(serialize_value(snap), RepositorySnap) == snap


def test_the_definitions_load_without_database_or_secret() -> None:
    code = "from ops_pipeline.definitions import definitions; definitions().resolve_job_def('ops_daily')"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, env={})


def test_the_workspace_serves_these_definitions_under_their_name() -> None:
    (entry,) = yaml.safe_load(package_path("workspace.yaml").read_text())["load_from"]
    assert entry["python_module"] == {
        "module_name": "ops_pipeline.definitions",
        "location_name": "ops_pipeline",
        "working_directory": ".",
    }


def test_what_is_called_ours_is_what_is_defined(defs: dg.Definitions) -> None:
    assert {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()} == ownership.ASSETS
    assert {job.name for job in defs.jobs or []} == ownership.JOBS


def test_one_launched_run_has_its_turn_at_a_time_and_no_run_may_last_for_ever() -> None:
    settings = yaml.safe_load(package_path("dagster.yaml").read_text())
    limit = {"key": ownership.QUEUE_TAG, "value": ownership.IN_TURN, "limit": 1}
    # The other limit counts runs of the command line too.
    assert settings["concurrency"]["runs"] == {"max_concurrent_runs": -1, "tag_concurrency_limits": [limit]}
    assert settings["run_monitoring"] == {
        "enabled": True,
        "start_timeout_seconds": 120,
        "cancel_timeout_seconds": 120,
        "max_runtime_seconds": 4 * 3600,
    }


def test_the_settings_keep_no_compute_logs_send_nothing_and_name_no_database() -> None:
    text = package_path("dagster.yaml").read_text()
    settings = yaml.safe_load(text)
    assert settings["compute_logs"]["class"] == "NoOpComputeLogManager"
    assert settings["telemetry"] == {"enabled": False}
    assert settings["nux"] == {"enabled": False}
    assert settings["run_retries"]["retry_on_asset_or_op_failure"] is False
    assert settings["storage"]["custom"]["config"] == {"postgres_url": {"env": "DAGSTER_POSTGRES_DSN"}}
    assert "://" not in text
