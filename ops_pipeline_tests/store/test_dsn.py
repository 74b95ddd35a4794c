"""DSNs: libpq's own parser takes them apart, and what cannot work is said by its part, never by its text."""

from __future__ import annotations

import string
from pathlib import Path
from urllib.parse import quote, unquote

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_pipeline.contract.environment import DSNS, REQUIRED, EnvPart, Name
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.operations.prod_config import check_production, environment_faults
from ops_pipeline.store.dsn import dsn_fault, dsn_faults, parse_dsn
from ops_pipeline.store.engine import dagster_url, engine_for
from ops_pipeline_tests.conftest import Database

DSN = "postgresql://ops:s3cr3t@db.example:5432/ops?sslmode=require"
LOCAL = "postgresql://ops@localhost/ops"
LIBPQ = ("PGPASSWORD", "PGPASSFILE", "PGSSLCERT", "PGSSLMODE", "PGSERVICE", "OPS_ALLOW_NO_TLS")
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
)


@pytest.fixture
def no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_every_form_that_libpq_knows_is_a_dsn() -> None:
    for dsn, host in {
        DSN: "db.example",
        "postgres://ops:s3cr3t@db.example/ops": "db.example",
        "postgresql+psycopg://ops@db.example/ops": "db.example",
        "postgresql+psycopg2://ops@db.example/ops": "db.example",
        "POSTGRESQL://ops@db.example/ops": "db.example",
        "postgresql://db.example:6543/ops?sslmode=require": "db.example",
        "postgresql://ops@[2001:db8::1]:5432/ops": "2001:db8::1",
        "postgresql://ops:p%40%3A%2F%25%23w@db.example/ops": "db.example",
        "postgresql://ops@/ops?host=/var/run/postgresql": "/var/run/postgresql",
        "postgresql:///ops?host=%2Fvar%2Frun%2Fpostgresql": "/var/run/postgresql",
        "postgresql:///ops?host=db.example&port=5432": "db.example",
        "postgresql://ops@h1:5432,h2:5433/ops?target_session_attrs=read-write": "h1,h2",
        "host=db.example dbname=ops user=ops password='two words'": "db.example",
        "host=/var/run/postgresql dbname=ops": "/var/run/postgresql",
        "postgresql:///ops": None,
        "dbname=ops": None,
    }.items():
        found = parse_dsn(Name.OPS_POSTGRES_DSN, dsn)
        assert (found["dbname"], found.get("host")) == ("ops", host), dsn
    assert parse_dsn(Name.OPS_POSTGRES_DSN, "service=ops") == {"service": "ops"}


@pytest.mark.usefixtures("no_home")
def test_a_dsn_of_this_machine_or_one_with_password_and_tls_can_work() -> None:
    for dsn, environ in [
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
        ("postgresql:///ops", {}),
        ("postgresql:///ops?host=/var/run/postgresql", {}),
        ("host=/var/run/postgresql dbname=ops", {}),
        ("host=db.example dbname=ops password=s3cr3t sslmode=require", {}),
        ("service=ops", {}),
        ("host=localhost", {"PGDATABASE": "ops"}),
        ("dbname=ops", {"PGHOST": "/var/run/postgresql"}),
    ]:
        assert dsn_fault(dsn, environ) is None, (dsn, environ)
        assert dsn_faults({**dict.fromkeys(DSNS, dsn), **environ}) == {}


@pytest.mark.usefixtures("no_home")
def test_a_dsn_of_another_machine_without_password_or_tls_cannot_work() -> None:
    for dsn, environ in [
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
        ("dbname=ops password=s3cr3t", {"PGHOST": "db.example"}),
        ("hostaddr=203.0.113.7 host=localhost dbname=ops password=s3cr3t", {}),
    ]:
        assert dsn_fault(dsn, environ) in (EnvPart.PASSWORD, EnvPart.TLS), (dsn, environ)
        assert list(dsn_faults({"OPS_POSTGRES_DSN": dsn, **environ})) == [Name.OPS_POSTGRES_DSN]


def test_a_password_file_in_the_home_folder_is_a_password_and_nothing_else_there(no_home: Path) -> None:
    dsn = "postgresql://ops@db.example/ops?sslmode=require"
    for name in (
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
    ):
        (no_home / name).parent.mkdir(exist_ok=True)
        (no_home / name).write_text("db.example:5432:ops:ops:s3cr3t")
    assert dsn_fault(dsn, {}) is EnvPart.PASSWORD
    (no_home / ".pgpass").write_text("db.example:5432:ops:ops:s3cr3t")
    assert dsn_fault(dsn, {}) is None
    assert dsn_fault("postgresql://ops@db.example/ops", {}) is EnvPart.TLS
    assert dsn_fault("postgresql://ops@db.example/ops", {"OPS_ALLOW_NO_TLS": "1"}) is None


def test_where_there_is_no_home_folder_nothing_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for home in ("/no/such/folder", ""):
        monkeypatch.setenv("HOME", home)
        assert dsn_fault("postgresql://ops@no-such-host.invalid/ops?sslmode=disable", {}) is EnvPart.PASSWORD
        assert dsn_fault(DSN, {}) is None


@pytest.mark.usefixtures("no_home")
def test_every_dsn_is_held_to_the_same_and_named_by_itself() -> None:
    for name in DSNS:
        others = {other.value: LOCAL for other in DSNS if other is not name}
        unprotected = {**others, name.value: "postgresql://ops:s3cr3t@db.example/ops"}
        with pytest.raises(OpsError) as caught:
            check_production(unprotected)
        assert caught.value.reason is Reason.INVALID_ENV
        assert caught.value.fields == {"invalid": (name,), "part": (EnvPart.TLS,)}
        assert check_production({**unprotected, "OPS_ALLOW_NO_TLS": "1"}) == len(REQUIRED)


def test_production_is_checked_as_a_whole(tmp_path: Path) -> None:
    both = {"OPS_POSTGRES_DSN": DSN, "DAGSTER_POSTGRES_DSN": LOCAL}
    assert check_production(both) == 2
    config = tmp_path / "ops.toml"
    config.write_text("[thresholds]\nhold_rate = 35\n")
    for change, reason, fields in (
        ({"OPS_POSTGRES_DSN": ""}, Reason.MISSING_ENV, {"missing": (Name.OPS_POSTGRES_DSN,)}),
        (
            {"OPS_POSTGRES_DSN": "nonsense", "OPS_FIRST_DAY": "20260101", "OPS_EVENTS_RELATION": "a.b.c"},
            Reason.INVALID_ENV,
            {
                "invalid": (Name.OPS_EVENTS_RELATION, Name.OPS_FIRST_DAY, Name.OPS_POSTGRES_DSN),
                "part": (EnvPart.RELATION, EnvPart.DAY, EnvPart.SCHEME),
            },
        ),
        (
            {"OPS_CONFIG": str(config)},
            Reason.INVALID_CONFIG,
            {"line": 2, "key": "thresholds.hold_rate", "expected": "fraction_or_off"},
        ),
    ):
        with pytest.raises(OpsError) as caught:
            check_production({**both, **change})
        assert (caught.value.reason, caught.value.fields) == (reason, fields)


def test_a_dsn_that_cannot_work_is_said_by_the_part_that_cannot() -> None:
    for dsn, part in {
        "nonsense": EnvPart.SCHEME,
        "mysql://ops:s3cr3t@db.example/ops": EnvPart.SCHEME,
        "sqlite:///ops.db": EnvPart.SCHEME,
        "http://db.example/ops": EnvPart.SCHEME,
        "postgresql+asyncpg://ops@db.example/ops": EnvPart.SCHEME,
        "postgresql:ops": EnvPart.SCHEME,
        f"'{DSN}'": EnvPart.SCHEME,
        f'"{DSN}"': EnvPart.SCHEME,
        f"OPS_POSTGRES_DSN={DSN}": EnvPart.PARAMETER,
        "$OPS_POSTGRES_DSN": EnvPart.SCHEME,
        "${{ secrets.OPS_POSTGRES_DSN }}": EnvPart.SCHEME,
        "postgresql://": EnvPart.DATABASE,
        "postgresql://db.example": EnvPart.DATABASE,
        "postgresql://db.example/": EnvPart.DATABASE,
        "host=db.example user=ops": EnvPart.DATABASE,
        "postgresql://ops:s3cr3t@db.example:abc/ops": EnvPart.PORT,
        "postgresql://ops:s3cr3t@db.example:0/ops": EnvPart.PORT,
        "postgresql://ops:s3cr3t@db.example:65536/ops": EnvPart.PORT,
        "postgresql://ops:s3cr3t@db.example:-1/ops": EnvPart.PORT,
        "postgresql://ops:s3cr3t@h1:5432,h2:x/ops": EnvPart.PORT,
        "postgresql://ops:a/b@db.example/ops": EnvPart.PASSWORD,
        "postgresql://ops:a@b@db.example/ops": EnvPart.PASSWORD,
        "postgresql://ops:100%@db.example/ops": EnvPart.PASSWORD,
        "postgresql://ops@[2001:db8::1/ops": EnvPart.HOST,
        "postgresql://ops:s3cr3t@db.example/ops?sslmod=require": EnvPart.PARAMETER,
        "host=db.example dbname=ops sslmod=require": EnvPart.PARAMETER,
        "postgresql://ops:s3cr3t@db.example/ops?sslmode=required": EnvPart.TLS,
        "postgresql://ops:s3cr3t@db.example/ops?sslmode=REQUIRE": EnvPart.TLS,
    }.items():
        assert dsn_fault(dsn, {}) is part, dsn
        assert dsn_faults({"OPS_EVENTS_DSN": dsn}) == {Name.OPS_EVENTS_DSN: part}


def test_every_form_connects_to_the_same_database_for_us_and_for_dagster(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy import create_engine, text

    socket = parse_dsn(Name.OPS_POSTGRES_DSN, database.dsn)
    host, name, user = socket["host"], socket["dbname"], socket["user"]
    service = tmp_path / "services.conf"
    service.write_text(f"[ops]\nhost={host}\ndbname={name}\nuser={user}\n")
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    for dsn in (
        database.dsn,
        f"postgres://{user}@/{name}?host={quote(host, safe='')}",
        f"postgresql:///{name}?host={host}&user={user}",
        f"host={host} dbname={name} user={user}",
        f"host=/no/such/folder,{host} dbname={name} user={user}",
        f"postgresql+psycopg2://{user}@{quote(host, safe='')}/{name}",
        "service=ops",
    ):
        for engine in (engine_for(Name.OPS_POSTGRES_DSN, dsn), create_engine(dagster_url(dsn))):
            with engine.connect() as connection:
                assert connection.scalar(text("SELECT current_database()")) == name, dsn
            engine.dispose()


# What libpq, which takes a DSN apart in the end, makes of it

named = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=20)
HOSTS = ("db.example", "localhost", "203.0.113.7", "[2001:db8::1]", "[::1]", "%2Fvar%2Frun%2Fpostgresql")
schemes = st.sampled_from(["postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2"])


@given(schemes, named, named, st.sampled_from(HOSTS), st.one_of(st.none(), st.integers(1, 65535)), named)
def test_any_user_password_and_database_can_be_written_percent_encoded(
    scheme: str, user: str, password: str, host: str, port: int | None, database: str
) -> None:
    where = host if port is None else f"{host}:{port}"
    dsn = f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{where}/{quote(database, safe='')}"
    is_local = host in ("localhost", "[::1]", "%2Fvar%2Frun%2Fpostgresql")
    assert dsn_fault(f"{dsn}?sslmode=require", {}) is None
    assert dsn_fault(dsn, {}) is (None if is_local else EnvPart.TLS)
    found = parse_dsn(Name.OPS_POSTGRES_DSN, dsn)
    assert (found["user"], found["password"], found["dbname"]) == (user, password, database)
    assert found["host"] == unquote(host.strip("[]"))
    assert found.get("port") == (None if port is None else str(port))


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
        st.text(),
        st.text().map("postgresql://{}".format),
        st.text(alphabet=string.punctuation + "ab01", max_size=30).map("postgresql://u:{}@h/d".format),
        st.text(alphabet=":/?#[]@%0a\u2100\uff0f\ud800", max_size=30).map("postgresql://{}/d".format),
        st.lists(parts_of_a_dsn, max_size=10).map("".join),
        st.lists(parts_of_a_dsn, max_size=8).map(lambda parts: "postgresql://" + "".join(parts)),
    ),
    st.dictionaries(st.sampled_from(LIBPQ), st.text()),
)
def test_of_any_text_a_part_is_said_or_nothing(dsn: str, environ: dict[str, str]) -> None:
    assert dsn_fault(dsn, environ) in (None, *EnvPart)
    named = {"OPS_EVENTS_DSN": dsn, "OPS_FIRST_DAY": dsn}
    assert set(environment_faults(named)) <= {Name.OPS_EVENTS_DSN, Name.OPS_FIRST_DAY}
    if dsn_fault(dsn, environ) is None:
        # What we read, libpq reads too.
        psycopg.conninfo.make_conninfo(**parse_dsn(Name.OPS_EVENTS_DSN, dsn))
