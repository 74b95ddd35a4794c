"""The Dagster instance that runs are recorded on."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from ops_pipeline.contract.environment import Name, required_value
from ops_pipeline.contract.errors import OpsError, to_ops_error
from ops_pipeline.contract.files import package_path
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.orchestration.boundary import guard_process


@contextmanager
def configured_instance() -> Iterator[dg.DagsterInstance]:
    """Yield the instance of DAGSTER_HOME, or without one the instance of the shipped `dagster.yaml`.

    Raises OpsError `dagster_storage_unavailable`, `dagster_schema_taken`, `dsn_in_file`, or `invalid_env` for a DSN
    that cannot work.
    """
    guard_process()
    with tempfile.TemporaryDirectory(prefix="ops_pipeline_") as scratch:
        instance = _open(Path(os.environ.get("DAGSTER_HOME") or scratch), Path(scratch))
        with instance:
            yield instance


def bootstrap_storage() -> None:
    """Make Dagster's own tables, or bring them to the version of the installed Dagster.

    Raises OpsError `dagster_storage_unavailable`, `dagster_schema_taken`, `missing_env` or `invalid_env`.
    """
    required_value(Name.DAGSTER_POSTGRES_DSN)
    with configured_instance() as instance:
        try:
            instance.upgrade()
            instance.reindex()
        except Exception as error:  # noqa: BLE001 - whatever the storage's driver raises
            failure = to_ops_error(error)
        else:
            return
    raise failure


def _open(home: Path, scratch: Path) -> dg.DagsterInstance:
    settings = home / "dagster.yaml"
    if not settings.exists():
        home = scratch
        shutil.copyfile(package_path("dagster.yaml"), home / "dagster.yaml")
    elif not settings.is_file():
        raise OpsError(Reason.DAGSTER_STORAGE_UNAVAILABLE, cause=Reason.NOT_A_FILE)
    try:
        instance = dg.DagsterInstance.from_config(str(home))
        instance.get_runs_count()
    except Exception as error:  # noqa: BLE001 - whatever the storage's driver raises
        failure = to_ops_error(error)
    else:
        return instance
    if failure.reason in (Reason.INVALID_ENV, Reason.DSN_IN_FILE, Reason.DAGSTER_SCHEMA_TAKEN):
        raise failure
    raise OpsError(Reason.DAGSTER_STORAGE_UNAVAILABLE, cause=failure.fields.get("cause", failure.reason))
