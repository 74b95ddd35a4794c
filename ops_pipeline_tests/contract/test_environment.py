"""The environment: what is set, what is missing and what cannot work, by name and never by value."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_pipeline.contract import environment
from ops_pipeline.contract.config import Config
from ops_pipeline.contract.environment import REQUIRED, EnvPart, Name
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason

DSN = "postgresql://ops:s3cr3t@db.example:5432/ops?sslmode=require"
environs = st.dictionaries(st.sampled_from([name.value for name in Name]), st.one_of(st.just(DSN), st.text()))


def test_every_name_is_its_own_value_and_has_a_meaning() -> None:
    for name in Name:
        assert name.name == name.value
        assert name.meaning.endswith(".")
        assert not (name.is_required and name.default)


@given(environs)
def test_missing_names_are_sorted_and_half_a_configuration_is_production(environ: dict[str, str]) -> None:
    missing = environment.missing_names(environ)
    assert list(missing) == sorted(set(missing))
    assert set(missing) <= set(REQUIRED)
    assert environment.is_prod_configured(environ) is (missing != REQUIRED)


@pytest.mark.parametrize(
    ("environ", "missing", "is_prod"),
    [
        ({}, ("DAGSTER_POSTGRES_DSN", "OPS_POSTGRES_DSN"), False),
        ({"OPS_EVENTS_DSN": DSN, "OPS_CONFIG": "x"}, ("DAGSTER_POSTGRES_DSN", "OPS_POSTGRES_DSN"), False),
        ({"OPS_POSTGRES_DSN": DSN}, ("DAGSTER_POSTGRES_DSN",), True),
        ({"DAGSTER_POSTGRES_DSN": DSN}, ("OPS_POSTGRES_DSN",), True),
        ({"OPS_POSTGRES_DSN": DSN, "DAGSTER_POSTGRES_DSN": DSN}, (), True),
        ({"OPS_POSTGRES_DSN": "nonsense"}, ("DAGSTER_POSTGRES_DSN",), True),
    ],
)
def test_half_a_configuration_is_production_with_something_missing(
    environ: dict[str, str], missing: tuple[str, ...], is_prod: bool
) -> None:
    assert environment.missing_names(environ) == missing
    assert environment.is_prod_configured(environ) is is_prod


@pytest.mark.parametrize("nothing", ["", " ", "\t\n", "\u00a0"])
def test_an_empty_value_counts_as_not_set(nothing: str) -> None:
    environ = dict.fromkeys(Name, nothing)
    assert environment.missing_names(environ) == REQUIRED
    assert not environment.is_prod_configured(environ)
    assert environment.value(Name.OPS_EVENTS_DSN, environ) is None
    assert environment.value(Name.OPS_EVENTS_RELATION, environ) == "ops.delivery_events"
    assert environment.first_day(environ) == date(2026, 1, 1)
    assert environment.config(environ) == Config()


def test_spaces_around_a_value_do_not_belong_to_it() -> None:
    assert environment.value(Name.OPS_POSTGRES_DSN, {"OPS_POSTGRES_DSN": f" {DSN}\n"}) == DSN


def test_a_required_value_that_is_not_set_is_missing_by_name() -> None:
    with pytest.raises(OpsError) as caught:
        environment.required_value(Name.OPS_POSTGRES_DSN, {})
    assert caught.value.reason is Reason.MISSING_ENV
    assert caught.value.fields == {"missing": (Name.OPS_POSTGRES_DSN,)}


def test_a_first_day_that_is_no_day_is_invalid_by_name() -> None:
    for text in (
        *("soon", "2026-02-30", "2026-13-01", "01.02.2026", "2026-1-1", "2026-01-01T00:00", "0"),
        *("20260101", "2026-W01-1"),
    ):
        with pytest.raises(OpsError) as caught:
            environment.first_day({"OPS_FIRST_DAY": text})
        assert caught.value.reason is Reason.INVALID_ENV
        assert caught.value.fields == {"invalid": (Name.OPS_FIRST_DAY,), "part": (EnvPart.DAY,)}
        assert caught.value.__context__ is None


def test_the_first_day_is_the_one_that_is_set() -> None:
    assert environment.first_day({"OPS_FIRST_DAY": "2024-02-29"}) == date(2024, 2, 29)


def test_the_configuration_is_that_of_the_file_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ops.toml"
    path.write_text("[thresholds]\nhold_rate = 0.5\n")
    assert environment.config({"OPS_CONFIG": str(path)}).thresholds.hold_rate == 0.5
    with pytest.raises(OpsError) as caught:
        environment.config({"OPS_CONFIG": str(tmp_path / "missing.toml")})
    assert caught.value.reason is Reason.INVALID_CONFIG
