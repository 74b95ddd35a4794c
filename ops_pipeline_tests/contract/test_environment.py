"""The environment: what is set, what is missing and what cannot work, by name and never by value."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from ops_pipeline.contract import environment
from ops_pipeline.contract.config import Config
from ops_pipeline.contract.environment import DSNS, REQUIRED, Name
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason

DSN = "postgresql://ops:s3cr3t@db.example:5432/ops?sslmode=require"
LOCAL = "postgresql://ops@localhost/ops"
LIBPQ = ("PGPASSWORD", "PGPASSFILE", "PGSSLCERT", "PGSSLMODE", "PGSERVICE", "OPS_ALLOW_NO_TLS")
NO_TLS_MODES = ("disable", "allow", "prefer", "REQUIRE", "required", "verify", "verify_full", "true", "1")
NO_YES = ("yes", "true", "True", "on", "y", "2", "01", "1.0", "11", "-1", "\u0661", "\u00b9", "1 1")
LIKE_LOCAL = (
    "localhost.example",
    "db.localhost",
    "localhost,db.example",
    "db.example,localhost",
    "127.0.0.1.example",
    "127.0.0.1,203.0.113.7",
    "127.0.0.10",
    "203.0.113.7",
    "10.0.0.1",
    "[2001:db8::1]",
    "[::11]",
    "db.example%2Fvar%2Frun",
    "db%40localhost",
)

environs = st.dictionaries(st.sampled_from([name.value for name in Name]), st.one_of(st.just(DSN), st.text()))


def test_every_name_is_its_own_value_and_has_a_meaning() -> None:
    for name in Name:
        assert name.name == name.value
        assert name.meaning.endswith(".")
        assert not (name.is_required and name.default)


@given(environs)
def test_missing_and_invalid_names_are_sorted_and_never_both(environ: dict[str, str]) -> None:
    missing, invalid = environment.missing_names(environ), environment.invalid_names(environ)
    assert list(missing) == sorted(set(missing))
    assert list(invalid) == sorted(set(invalid))
    assert set(missing) <= set(REQUIRED)
    assert not set(missing) & set(invalid)
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
    assert environment.invalid_names(environ) == ()
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


@pytest.mark.parametrize(
    "dsn",
    [
        DSN,
        "postgres://ops:s3cr3t@db.example/ops",
        "postgresql+psycopg://ops@db.example/ops",
        "postgresql+psycopg2://ops@db.example/ops",
        "POSTGRESQL://ops@db.example/ops",
        "postgresql://db.example/ops",
        "postgresql://db.example:6543/ops?sslmode=require",
        "postgresql://ops@[2001:db8::1]:5432/ops",
        "postgresql://ops:p%40%3A%2F%25%23w@db.example/ops",
        "postgresql://ops@/ops?host=/var/run/postgresql",
        "postgresql:///ops?host=%2Fvar%2Frun%2Fpostgresql",
        "postgresql:///ops?host=db.example&port=5432",
    ],
)
def test_a_dsn_that_can_work_is_plausible(dsn: str) -> None:
    assert environment.is_plausible_dsn(dsn)
    # libpq, which takes it apart in the end, finds the same host.
    parsed = conninfo_to_dict(re.sub(r"(?i)^postgres(ql)?(\+psycopg2?)?:", "postgresql:", dsn))
    assert parsed["dbname"] == "ops"
    assert parsed["host"] in ("db.example", "2001:db8::1", "/var/run/postgresql")


@pytest.fixture
def no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("no_home")
@pytest.mark.parametrize(
    ("dsn", "environ"),
    [
        (DSN, {}),
        ("postgresql://ops:s3cr3t@db.example/ops?sslmode=verify-full", {}),
        ("postgresql://ops:s3cr3t@db.example/ops", {"PGSSLMODE": "verify-ca"}),
        ("postgresql://ops@db.example/ops?sslmode=require", {"PGPASSWORD": "s3cr3t"}),
        ("postgresql://ops@db.example/ops?sslmode=require", {"PGPASSFILE": "/run/secrets/pgpass"}),
        ("postgresql://ops@db.example/ops?sslmode=require&passfile=/run/secrets/pgpass", {}),
        ("postgresql://ops@db.example/ops?sslmode=verify-full&sslcert=/run/secrets/ops.crt", {}),
        ("postgresql:///ops?host=db.example&password=s3cr3t&sslmode=require", {}),
        ("postgresql://ops:s3cr3t@db.example/ops", {"OPS_ALLOW_NO_TLS": "1"}),
        ("postgresql://ops@db.example/ops?service=ops", {}),
        ("postgresql://ops@db.example/ops", {"PGSERVICE": "ops"}),
        (LOCAL, {}),
        ("postgresql://127.0.0.1:5433/ops", {}),
        ("postgresql://[::1]/ops", {}),
        ("postgresql://ops@/ops?host=/var/run/postgresql", {}),
        ("postgresql:///ops?host=%2Fvar%2Frun%2Fpostgresql", {}),
        ("postgresql:///ops?host=%2fvar%2frun%2fpostgresql", {}),
        ("postgresql:///ops?host=/tmp&sslmode=disable", {}),
        ("postgresql:///ops?host=@ops", {}),
        ("postgresql://ops@%2Fvar%2Frun%2Fpostgresql/ops", {}),
        ("postgresql://ops@%2Fvar%2Frun%2Fpostgresql:5433/ops", {}),
        ("postgresql://ops:s3cr3t@localhost:5433/ops?sslmode=disable", {}),
        ("postgresql://[::1]:5433/ops", {}),
        ("postgresql:///ops?host=localhost", {}),
        ("postgresql:///ops?host=127.0.0.1&port=5433", {}),
        # The last of two counts, as for libpq.
        ("postgresql://db.example/ops?host=localhost", {}),
        ("postgresql:///ops?host=db.example&host=localhost", {}),
        ("postgresql://ops:s3cr3t@db.example/ops?sslmode=disable&sslmode=require", {}),
        # What the DSN itself says counts more than libpq's variables.
        (DSN, {"PGSSLMODE": "disable", "PGPASSWORD": ""}),
        ("postgresql://ops@db.example/ops", {"PGPASSWORD": "s3cr3t", "PGSSLMODE": "require"}),
        ("postgresql://db.example/ops?sslmode=verify-full", {"PGSSLCERT": "/run/secrets/ops.crt"}),
        ("postgresql://ops:s3cr3t@db.example/ops?sslmode=disable", {"OPS_ALLOW_NO_TLS": "1"}),
        ("postgresql://ops:s3cr3t@db.example/ops", {"OPS_ALLOW_NO_TLS": " 1\n"}),
        ("postgresql://ops@db.example/ops", {"OPS_ALLOW_NO_TLS": "1", "PGPASSFILE": "/run/secrets/pgpass"}),
    ],
)
def test_a_dsn_of_this_machine_or_one_with_password_and_tls_is_protected(dsn: str, environ: dict[str, str]) -> None:
    assert environment.is_protected_dsn(dsn, environ)
    assert environment.invalid_names({**dict.fromkeys(DSNS, dsn), **environ}) == ()


@pytest.mark.usefixtures("no_home")
@pytest.mark.parametrize(
    ("dsn", "environ"),
    [
        ("postgresql://ops@db.example/ops?sslmode=require", {}),
        ("postgresql://ops:@db.example/ops?sslmode=require", {}),
        ("postgresql://ops@db.example/ops?sslmode=require&password=", {}),
        ("postgresql://ops:s3cr3t@db.example/ops", {}),
        ("postgresql://ops:s3cr3t@db.example/ops?sslmode=prefer", {}),
        ("postgresql://ops:s3cr3t@db.example/ops?sslmode=disable", {"PGSSLMODE": "require"}),
        ("postgresql://ops:s3cr3t@db.example/ops", {"OPS_ALLOW_NO_TLS": "yes"}),
        ("postgresql://ops:s3cr3t@db.example/ops", {"OPS_ALLOW_NO_TLS": "0"}),
        ("postgresql://ops@db.example/ops", {"OPS_ALLOW_NO_TLS": "1"}),
        ("postgresql://ops:s3cr3t@localhost.example/ops", {}),
        ("postgresql://ops:s3cr3t@localhost/ops?host=db.example", {}),
        ("postgresql:///ops?host=localhost&host=db.example&password=s3cr3t", {}),
        ("postgresql://ops:s3cr3t@db.example/ops?sslmode=require&sslmode=disable", {}),
        *((f"postgresql://ops:s3cr3t@db.example/ops?sslmode={mode}", {}) for mode in NO_TLS_MODES),
        *(("postgresql://ops:s3cr3t@db.example/ops", {"PGSSLMODE": mode}) for mode in NO_TLS_MODES),
        ("postgresql://ops:s3cr3t@db.example/ops?sslmode=prefer", {"PGSSLMODE": "verify-full"}),
        # Only 1 is yes, and it is about TLS alone.
        *(("postgresql://ops:s3cr3t@db.example/ops", {"OPS_ALLOW_NO_TLS": word}) for word in NO_YES),
        ("postgresql://ops@db.example/ops?sslmode=require", {"OPS_ALLOW_NO_TLS": "1"}),
        ("postgresql:///ops?host=db.example", {"OPS_ALLOW_NO_TLS": "1"}),
        # A name is no password, and neither is an empty variable.
        ("postgresql://s3cr3t@db.example/ops?sslmode=require", {"PGUSER": "s3cr3t"}),
        ("postgresql://ops@db.example/ops?sslmode=require", {"PGPASSWORD": "", "PGPASSFILE": "", "PGSSLCERT": ""}),
        ("postgresql://ops@db.example/ops?sslmode=require&passfile=&sslcert=", {}),
        ("postgresql://ops@db.example/ops?sslmode=require&sslrootcert=system", {}),
        ("postgresql://ops@db.example/ops?sslmode=require", {"PGSERVICE": "", "PGSERVICEFILE": "/etc/pg_service"}),
        # What only begins or ends like this machine.
        *((f"postgresql://ops:s3cr3t@{host}/ops", {}) for host in LIKE_LOCAL),
        *((f"postgresql://ops:s3cr3t@/ops?host={host}", {}) for host in LIKE_LOCAL),
        *((f"postgresql://{host}/ops?sslmode=require", {}) for host in LIKE_LOCAL),
    ],
)
def test_a_dsn_of_another_machine_without_password_or_tls_is_invalid_by_its_name(
    dsn: str, environ: dict[str, str]
) -> None:
    assert not environment.is_protected_dsn(dsn, environ)
    assert environment.invalid_names({"OPS_POSTGRES_DSN": dsn, **environ}) == (Name.OPS_POSTGRES_DSN,)


def test_a_password_file_in_the_home_folder_is_a_password(no_home: Path) -> None:
    dsn = "postgresql://ops@db.example/ops?sslmode=require"
    assert not environment.is_protected_dsn(dsn, {})
    (no_home / ".pgpass").write_text("db.example:5432:ops:ops:s3cr3t")
    assert environment.is_protected_dsn(dsn, {})


@pytest.mark.parametrize(
    "name",
    [
        "pgpass",
        ".pgpass.bak",
        "pgpass.conf",
        ".pg_service.conf",
        ".netrc",
        ".postgresql/postgresql.crt",
        ".postgresql/postgresql.key",
        ".postgresql/root.crt",
        ".psqlrc",
        ".env",
    ],
)
def test_nothing_else_in_the_home_folder_counts(no_home: Path, name: str) -> None:
    (no_home / name).parent.mkdir(exist_ok=True)
    (no_home / name).write_text("db.example:5432:ops:ops:s3cr3t")
    assert not environment.is_protected_dsn("postgresql://ops@db.example/ops?sslmode=require", {})
    assert not environment.is_protected_dsn("postgresql://ops:s3cr3t@db.example/ops", {})


def test_a_password_file_in_the_home_folder_does_not_replace_tls(no_home: Path) -> None:
    (no_home / ".pgpass").write_text("db.example:5432:ops:ops:s3cr3t")
    for dsn in ("postgresql://ops@db.example/ops", "postgresql://ops@db.example/ops?sslmode=prefer"):
        assert not environment.is_protected_dsn(dsn, {})
        assert environment.is_protected_dsn(dsn, {"OPS_ALLOW_NO_TLS": "1"})


@pytest.mark.parametrize("home", ["/no/such/folder", ""])
def test_where_there_is_no_home_folder_nothing_is_in_it(monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    monkeypatch.setenv("HOME", home)
    assert not environment.is_protected_dsn("postgresql://ops@no-such-host.invalid/ops?sslmode=disable", {})
    assert environment.is_protected_dsn(DSN, {})


@pytest.mark.usefixtures("no_home")
def test_every_dsn_is_held_to_the_same_and_named_by_itself() -> None:
    for name in DSNS:
        others = {other.value: LOCAL for other in DSNS if other is not name}
        unprotected = {**others, name.value: "postgresql://ops:s3cr3t@db.example/ops"}
        assert environment.invalid_names(unprotected) == (name,)
        with pytest.raises(OpsError) as caught:
            environment.check_production(unprotected)
        assert (caught.value.reason, caught.value.fields) == (Reason.INVALID_ENV, {"invalid": (name,)})
        assert environment.check_production({**unprotected, "OPS_ALLOW_NO_TLS": "1"}) == len(REQUIRED)


def test_production_is_checked_as_a_whole(tmp_path: Path) -> None:
    both = {"OPS_POSTGRES_DSN": DSN, "DAGSTER_POSTGRES_DSN": LOCAL}
    assert environment.check_production(both) == 2
    config = tmp_path / "ops.toml"
    config.write_text("[thresholds]\nhold_rate = 35\n")
    for change, reason, fields in (
        ({"OPS_POSTGRES_DSN": ""}, Reason.MISSING_ENV, {"missing": (Name.OPS_POSTGRES_DSN,)}),
        ({"OPS_POSTGRES_DSN": "nonsense"}, Reason.INVALID_ENV, {"invalid": (Name.OPS_POSTGRES_DSN,)}),
        ({"OPS_CONFIG": str(config)}, Reason.INVALID_CONFIG, {}),
    ):
        with pytest.raises(OpsError) as caught:
            environment.check_production({**both, **change})
        assert (caught.value.reason, caught.value.fields) == (reason, fields)


@pytest.mark.parametrize(
    "dsn",
    [
        "nonsense",
        "mysql://ops:s3cr3t@db.example/ops",
        "sqlite:///ops.db",
        "http://db.example/ops",
        "postgresql+asyncpg://ops@db.example/ops",
        "postgresql:ops",
        "postgresql://",
        "postgresql://db.example",
        "postgresql://db.example/",
        "postgresql://ops:s3cr3t@/ops",
        "postgresql:///ops",
        f"'{DSN}'",
        f'"{DSN}"',
        f"OPS_POSTGRES_DSN={DSN}",
        "postgresql://ops:s3cr3t@db.example:abc/ops",
        "postgresql://ops:s3cr3t@db.example:0/ops",
        "postgresql://ops:s3cr3t@db.example:65536/ops",
        "postgresql://ops:s3cr3t@db.example:-1/ops",
        "postgresql://ops:a/b@db.example/ops",
        "postgresql://ops:a#b@db.example/ops",
        "postgresql://ops:a?b@db.example/ops",
        "postgresql://ops@[2001:db8::1/ops",
        "host=db.example dbname=ops password=s3cr3t",
        "$OPS_POSTGRES_DSN",
        "${{ secrets.OPS_POSTGRES_DSN }}",
    ],
)
def test_a_dsn_that_cannot_work_is_invalid_by_the_name_it_was_given_under(dsn: str) -> None:
    assert not environment.is_plausible_dsn(dsn)
    for name in (Name.DAGSTER_POSTGRES_DSN, Name.OPS_EVENTS_DSN, Name.OPS_POSTGRES_DSN):
        assert environment.invalid_names({name.value: dsn}) == (name,)


@given(
    st.one_of(
        st.text(),
        st.text().map("postgresql://{}".format),
        st.text(alphabet=string.punctuation + "ab01", max_size=30).map("postgresql://u:{}@h/d".format),
        st.text(alphabet=":/?#[]@%0a\u2100\uff0f\ud800", max_size=30).map("postgresql://{}/d".format),
    )
)
def test_no_text_at_all_is_more_than_implausible(dsn: str) -> None:
    assert environment.is_plausible_dsn(dsn) in (True, False)
    environ = {"OPS_EVENTS_DSN": dsn, "OPS_FIRST_DAY": dsn}
    assert set(environment.invalid_names(environ)) <= {Name.OPS_EVENTS_DSN, Name.OPS_FIRST_DAY}


# What libpq, which takes a DSN apart in the end, makes of it

named = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=20)
HOSTS = ("db.example", "localhost", "203.0.113.7", "[2001:db8::1]", "[::1]", "%2Fvar%2Frun%2Fpostgresql")
schemes = st.sampled_from(["postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2"])


def _as_libpq_reads_it(dsn: str) -> Mapping[str, object]:
    return conninfo_to_dict(re.sub(r"(?i)^(postgres|postgresql)(\+psycopg2?)?:", "postgresql:", dsn))


@given(schemes, named, named, st.sampled_from(HOSTS), st.one_of(st.none(), st.integers(1, 65535)), named)
def test_a_dsn_of_any_user_password_and_database_is_plausible_if_they_are_percent_encoded(
    scheme: str, user: str, password: str, host: str, port: int | None, database: str
) -> None:
    where = host if port is None else f"{host}:{port}"
    dsn = f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{where}/{quote(database, safe='')}"
    assert environment.is_plausible_dsn(dsn)
    assert environment.is_protected_dsn(f"{dsn}?sslmode=require", {})
    assert environment.is_protected_dsn(dsn, {}) is (host in ("localhost", "[::1]", "%2Fvar%2Frun%2Fpostgresql"))
    found = _as_libpq_reads_it(dsn)
    assert (found["user"], found["password"], found["dbname"]) == (user, password, database)
    assert found["host"] == unquote(host.strip("[]"))
    assert found.get("port") == (None if port is None else str(port))


BEYOND_A_GLANCE = (
    "invalid percent-encoded token",
    "forbidden value %00",
    "invalid URI query parameter",
    "unexpected spaces found",
    'missing key/value separator "="',
    'extra key/value separator "="',
    "IPv6 host address may not be empty",
)
"""What libpq alone finds, when it connects: escapes, parameters that there are none of, an address of nothing."""

parts_of_a_dsn = st.one_of(
    st.sampled_from(
        [
            *("postgres://", "postgresql://", "postgresql+psycopg://", "mysql://", "'", "ops", "s3cr3t", ":", "@"),
            *(
                *HOSTS,
                ":5432",
                ":0",
                ":65536",
                ":x",
                "/",
                "/ops",
                "?",
                "&",
                "=",
                "sslmode=require",
                "host=db.example",
            ),
            *("host=", "port=5432", "%40", "%zz", "%00", "%", "#", "[", "]", "[]", ",", " ", "\n", "ä", "x=1"),
        ]
    ),
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=3),
)


@given(
    st.one_of(
        st.lists(parts_of_a_dsn, max_size=10).map("".join),
        st.lists(parts_of_a_dsn, max_size=8).map(lambda parts: "postgresql://" + "".join(parts)),
        st.lists(parts_of_a_dsn, max_size=4).map(lambda parts: "postgresql://ops@db.example/ops" + "".join(parts)),
    )
)
def test_what_is_plausible_is_what_libpq_reads_a_database_and_a_host_from(dsn: str) -> None:
    if not environment.is_plausible_dsn(dsn):
        return
    try:
        found = dict(_as_libpq_reads_it(dsn))
    except ProgrammingError as error:
        said = str(error)
        assert any(complaint in said for complaint in BEYOND_A_GLANCE), said
        return
    assert "host" in found
    assert "dbname" in found


@given(st.lists(parts_of_a_dsn, max_size=10).map("".join), st.dictionaries(st.sampled_from(LIBPQ), st.text()))
def test_no_text_at_all_is_more_than_unprotected(dsn: str, environ: dict[str, str]) -> None:
    assert environment.is_protected_dsn(dsn, environ) in (True, False)
    assert environment.is_plausible_dsn(dsn) in (True, False)


@pytest.mark.parametrize(
    "text", ["soon", "2026-02-30", "2026-13-01", "01.02.2026", "2026-1-1", "2026-01-01T00:00", "0"]
)
def test_a_first_day_that_is_no_day_is_invalid_by_name(text: str) -> None:
    assert environment.invalid_names({"OPS_FIRST_DAY": text}) == (Name.OPS_FIRST_DAY,)
    with pytest.raises(OpsError) as caught:
        environment.first_day({"OPS_FIRST_DAY": text})
    assert caught.value.reason is Reason.INVALID_ENV
    assert caught.value.fields == {"invalid": (Name.OPS_FIRST_DAY,)}
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
