"""`secret_echo_guard`: finds what must not be uploaded, wherever it hides, and repeats none of it.

Whatever looks like a secret here is put together at run time, so that no scanner stumbles over this file.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import lzma
import os
import random
import re
import shutil
import string
import subprocess
import sys
import sysconfig
import tarfile
import uuid
import zipfile
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ops_pipeline.contract.config import Thresholds
from ops_pipeline.contract.tokens import Label
from ops_pipeline.health import DayCounts, evaluate
from ops_pipeline.health.metrics import compute_metrics
from ops_pipeline.health.replay import replay
from ops_pipeline.report.daily_lines import daily_lines
from ops_pipeline.report.replay_page import write_replay_page
from ops_pipeline.secret_guard import scan
from ops_pipeline.secret_guard.scan import RULES
from ops_pipeline.secret_guard.values import ENDINGS
from ops_pipeline.tools import secret_echo_guard
from ops_pipeline.tools.secret_echo_guard import main

Lines = Callable[[], list[str]]
ROOT = Path(__file__).resolve().parents[2]
AT, SLASHES, PLUS = "@", "://", "+"
DSN = f"postgresql{SLASHES}ops:s3cr3t{AT}db-1.internal:5432/ops"
KEEPER = f"postgresql{SLASHES}keeper:w%40ndering{AT}h1.inner,h2.inner:5432/db"
FINDING = re.compile(
    r"secret_echo_guard_finding argument=[1-9][0-9]* file=[1-9][0-9]* line_number=[1-9][0-9]*"
    r" rule=[a-z][a-z0-9_]{0,39}"
)
END = re.compile(
    r"secret_echo_guard status=(ok files=[0-9]+ findings=0"
    r"|fail reason=secret_found files=[0-9]+ findings=[1-9][0-9]*"
    r"|fail reason=[a-z_]+( argument=[1-9][0-9]*( file=[1-9][0-9]*)?)?)"
)


@pytest.fixture(autouse=True)
def _no_secrets_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().endswith(ENDINGS):
            monkeypatch.delenv(name)


def _finding(rule: str, line: int = 1, file: int = 1, argument: int = 1) -> str:
    return f"secret_echo_guard_finding argument={argument} file={file} line_number={line} rule={rule}"


def _found(files: int, findings: int) -> str:
    return f"secret_echo_guard status=fail reason=secret_found files={files} findings={findings}"


def _clean(files: int) -> list[str]:
    return [f"secret_echo_guard status=ok files={files} findings=0"]


def _rules(printed: Iterable[str]) -> set[str]:
    return {line.rpartition("rule=")[2] for line in printed if FINDING.fullmatch(line)}


def _token(rng: random.Random, length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(rng.choices(alphabet, k=length))


def _zip(*members: tuple[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()


def _tar(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    return packed.getvalue()


# What is found

OWN = {
    "ops_postgres_dsn": [
        DSN,
        f"postgres{SLASHES}db-1/ops",
        f"POSTGRESQL+psycopg2{SLASHES}ops{AT}/ops",
        # What Kingfisher itself would take for a placeholder.
        f"postgres{SLASHES}jane:right{AT}test-db.internal/example",
        f"postgres{SLASHES}jane:123456789{AT}db/abcdefghij",
    ],
    "ops_postgres_conninfo": [
        "host=db-1 dbname=ops pass" + "word=s3cr3t",
        "pass" + "word = 's3 cr3t' user = jane",
        "port=5432 pass" + "word=true",
    ],
    "ops_email_address": [f"jane.doe{AT}corp.net", f"to:<J_D+1{AT}mail.Corp-1.example>", f"x{AT}test.io"],
    "ops_phone_number": [
        f"{PLUS}4915112345678",
        f"tel:{PLUS}1-212-555-0134, or not",
        f"{PLUS}1 (212) 555 0134",
        f"{PLUS}354 123 4567",
        f"to={PLUS}49151/12345678.",
        f"({PLUS}4915 1123 4567)",
        "%2B" + "4915112345678",
    ],
    "ops_uuid": [
        str(uuid.UUID(int=14_000_605_000_000_000_000_000)),
        str(uuid.UUID(int=0)),
    ],
    "ops_postgres_detail": [
        "DETAIL" + ":  Failing",
        "Failing row" + " contains (1, jane).",
        "Key (email, auth)" + "=(jane, true) already exists.",
    ],
    "ops_python_traceback": ["Traceback (most recent" + " call last):"],
    "ops_sql_statement": ["[SQL" + ": SELECT 'jane']", "[parameters" + ": ('jane',)]"],
}


def test_what_the_project_knows_to_be_sensitive_is_found_in_files_and_archives(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The detector takes a second to start, so that it looks at all of it at once.
    monkeypatch.setattr(secret_echo_guard, "_MOST_LINES", 10_000)
    known = [(rule, text) for rule, texts in OWN.items() for text in texts]
    for argument, (_, text) in enumerate(known, start=1):
        log = f"first\nsecond\n2026-11-07 {text}\nlast\n".encode()
        contents = (
            log,
            _zip(("empty", b""), ("log", log)),
            gzip.compress(log),
            bz2.compress(log),
            lzma.compress(log),
            _tar("log", log),
            gzip.compress(_tar("log", log)),
            _zip(("inner.zip", _zip(("log.gz", gzip.compress(log))))),
            b"#!/bin/sh\n" + _zip(("log", log)),
        )
        for number, content in enumerate(contents):
            (tmp_path / str(argument)).mkdir(exist_ok=True)
            (tmp_path / str(argument) / str(number)).write_bytes(content)
    assert main([str(tmp_path / str(argument)) for argument in range(1, len(known) + 1)]) == 1
    printed = lines()
    for argument, (rule, text) in enumerate(known, start=1):
        found = [line for line in printed if f" argument={argument} " in line and line.endswith(f" rule={rule}")]
        assert found == [_finding(rule, line=3, file=file, argument=argument) for file in range(1, 10)], text
        assert text not in "".join(printed)


def test_the_rules_of_the_project_are_sound() -> None:
    program = shutil.which("kingfisher", path=sysconfig.get_path("scripts")) or "kingfisher"
    command = [program, "rules", "check", "-W", "--load-builtins=false", "--no-update-check", f"--rules-path={RULES}"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout


def test_tokens_and_private_keys_of_services_are_found_by_the_detector(tmp_path: Path, lines: Lines) -> None:
    rng = random.Random(7)  # noqa: S311 - they open nothing
    dashes = "-----"
    secrets = {
        "a": f"token: ghp_{_token(rng, 36)}",
        "b": f"aws_access_key_id=AKIA{_token(rng, 16, string.ascii_uppercase + '234567')}\n"
        f"aws_secret_access_key={_token(rng, 40)}",
        "c": f"{dashes}BEGIN RSA PRIVATE KEY{dashes}\n"
        + "\n".join(_token(rng, 64) for _ in range(10))
        + f"\n{dashes}END RSA PRIVATE KEY{dashes}",
    }
    for name, text in secrets.items():
        (tmp_path / name).write_text(f"one\n{text}\n")
    assert main([str(tmp_path)]) == 1
    printed = lines()
    assert printed == [
        _finding("betterleaks_github_pat", line=2, file=1),
        _finding("betterleaks_aws_access_token", line=2, file=2),
        _finding("betterleaks_private_key", line=2, file=3),
        _found(files=3, findings=3),
    ]


def test_no_name_keeps_a_file_from_being_looked_at(tmp_path: Path, lines: Lines) -> None:
    names = (
        "test_log.txt",
        "tests/log",
        "page.html",
        "notes.md",
        "picture.png",
        "go.sum",
        "node_modules/log",
        ".hidden",
    )
    plain, zipped = tmp_path / "plain", tmp_path / "zipped"
    zipped.mkdir()
    for number, name in enumerate(names):
        path = plain / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(DSN)
        (zipped / str(number)).write_bytes(_zip((name, DSN.encode())))
    for folder in (tmp_path, plain):
        (folder / ".gitignore").write_text("*\n")
        (folder / ".ignore").write_text("*\n")
    files = [*(plain / name for name in names), *(zipped / str(number) for number in range(len(names)))]
    main([*map(str, files), str(tmp_path)])
    found = [line for line in lines() if line.endswith("ops_postgres_dsn")]
    arguments = Counter(int(re.findall("argument=([0-9]+)", line)[0]) for line in found)
    named = [*names, *(f"{name} in a zip" for name in names)]
    assert [name for argument, name in enumerate(named, start=1) if arguments[argument] != 1] == []
    assert arguments[len(named) + 1] == len(named)


def test_a_file_cannot_ask_to_be_left_out(tmp_path: Path, lines: Lines) -> None:
    (tmp_path / "log").write_text(f"# kingfisher:ignore\n{DSN} # kingfisher:ignore\n# kingfisher:ignore\n")
    assert main([str(tmp_path)]) == 1
    assert "ops_postgres_dsn" in _rules(lines())


def test_what_is_encoded_as_windows_and_base64_do_is_found(tmp_path: Path, lines: Lines) -> None:
    (tmp_path / "a").write_bytes(f"{DSN}\r\n".encode("utf-16"))
    (tmp_path / "b").write_bytes(b64encode(f"log: {DSN}\n".encode()))
    main([str(tmp_path)])
    assert [line for line in lines() if "dsn" in line] == [_finding("ops_postgres_dsn", file=n) for n in (1, 2)]


def test_files_are_counted_as_find_and_sort_list_them(tmp_path: Path, lines: Lines) -> None:
    for name in ("b", "a/z", "a.c", "B", ".h/x", "a/\N{LATIN SMALL LETTER U WITH DIAERESIS}"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{name}\n")
    (tmp_path / "a" / "z").write_text(f"one\n\n{OWN['ops_python_traceback'][0]}\n")
    listing = f"find {tmp_path} -type f | LC_ALL=C sort"
    listed = subprocess.run(listing, shell=True, capture_output=True, text=True).stdout.splitlines()  # noqa: S602
    assert main([str(tmp_path / "b"), str(tmp_path)]) == 1
    assert lines() == [
        _finding("ops_python_traceback", line=3, file=listed.index(f"{tmp_path}/a/z") + 1, argument=2),
        _found(files=7, findings=1),
    ]


def test_a_symbolic_link_is_followed_only_where_it_is_named(tmp_path: Path, lines: Lines) -> None:
    elsewhere = tmp_path / "elsewhere"
    folder = tmp_path / "folder"
    for made in (elsewhere, folder):
        made.mkdir()
    (elsewhere / "log").write_text(OWN["ops_uuid"][0])
    (folder / "file").symlink_to(elsewhere / "log")
    (folder / "below").symlink_to(elsewhere)
    (folder / "nowhere").symlink_to(tmp_path / "nowhere")
    assert main([str(folder)]) == 0
    assert lines() == _clean(0)
    assert main([str(folder / "file"), str(folder / "below")]) == 1
    assert lines() == [_finding("ops_uuid"), _finding("ops_uuid", argument=2), _found(files=2, findings=2)]


def test_of_many_findings_a_hundred_are_named_and_all_are_counted(tmp_path: Path, lines: Lines) -> None:
    (tmp_path / "log").write_text(f"{OWN['ops_uuid'][0]}\n" * 150)
    assert main([str(tmp_path)]) == 1
    *findings, end = lines()
    assert findings == [_finding("ops_uuid", line=line) for line in range(1, 101)]
    assert end == _found(files=1, findings=150)


def test_in_a_long_file_nothing_is_lost_and_every_line_has_its_number(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "_PIECE", 500)
    monkeypatch.setattr(scan, "_OVERLAP", 200)
    monkeypatch.setenv("API_TOKEN", "of-no-known-form")
    rows = ["of-no-known-form" if n % 7 == 0 else OWN["ops_uuid"][0] if n % 5 == 0 else "x" * n for n in range(150)]
    (tmp_path / "log").write_text("".join(f"{row}\n" for row in rows))
    main([str(tmp_path)])
    expected = [
        _finding("environment_value" if n % 7 == 0 else "ops_uuid", line=n + 1)
        for n in range(150)
        if n % 7 == 0 or n % 5 == 0
    ]
    assert lines() == [*expected, _found(files=1, findings=len(expected))]


# What is not found


def _own_output(folder: Path) -> None:
    """Write what the tools print, and the page of a replay, into `folder`."""
    last = date(2026, 11, 7)
    counts = {("first", "offered", None): 300, ("first", "delivered", None): 280, ("first", "held", "unknown"): 20}
    days = [DayCounts(last - timedelta(days=ago), counts) for ago in range(400)]
    metrics = compute_metrics(days, last, (7, 30))
    daily = [*daily_lines(metrics, evaluate(days, last))]
    (folder / "daily.log").write_text("".join(f"{line}\n{line.as_json()}\n" for line in daily))
    verdicts = [one for some in replay(days, last - timedelta(days=99), last, Thresholds()) for one in some]
    write_replay_page(folder / "replay.html", {Label("present"): verdicts})


def test_what_the_project_prints_and_documents_is_clean(tmp_path: Path, lines: Lines) -> None:
    _own_output(tmp_path)
    # What `make docs` leaves holds scripts of others.
    written = [path for path in (ROOT / "docs").iterdir() if path.name != "_build"]
    assert main([str(tmp_path), *map(str, written), *map(str, ROOT.glob("*.md"))]) == 0
    (end,) = lines()
    assert END.fullmatch(end)


def test_what_only_looks_like_it_is_not_found(tmp_path: Path, lines: Lines) -> None:
    texts = (
        "2026-11-22 2026-11-22T03:00:00+00:00 2026-11-22 03:00:00.123456+0100",
        "+2026-11-22,first,delivered\n+2026-11-22 03:00:00 ok\n",
        "12345678901234 1.5e+12345678 a+12345678901 +12345678.90 +1234567",
        "postgresql:/// postgres://***:***@***/*** postgresql+psycopg:///ops",
        "user@host git@localhost @dataclass logo@2x.png unit@1000.service actions/checkout@v5",
        "password=*** host=db-1\npassword=\nhost=db-1",
        "0b0e3b1c6a414a0e9b5d2f3c8f6d7e10 0b0e3b1c-6a41",
        "[SQL parameters hidden] (most recent call last) detail: none",
    )
    for number, text in enumerate(texts):
        (tmp_path / str(number)).write_text(text)
    assert main([str(tmp_path)]) == 0
    assert lines() == _clean(len(texts))


def test_an_empty_folder_and_empty_files_are_clean(tmp_path: Path, lines: Lines) -> None:
    assert main([str(tmp_path)]) == 0
    assert lines() == _clean(0)
    (tmp_path / "empty").touch()
    (tmp_path / "empty.zip").write_bytes(_zip())
    assert main([str(tmp_path)]) == 0
    assert lines() == _clean(2)
    assert main([str(tmp_path), "--quiet"]) == 0
    assert lines() == []


# The environment's own secrets


FORMS = (
    ("API_TOKEN", "of/no known+form", "of/no known+form"),
    ("api_key", "of/no known+form", quote("of/no known+form")),
    ("MY_SECRET", "of/no known+form", quote("of/no known+form", safe="").lower()),
    ("MY_SECRET", "of/no known+form", "of%2Fno+known%2Bform"),
    ("APP_PASSWD", 'a "quoted"\\word', json.dumps('a "quoted"\\word')),
    ("PGPASSFILE", "/home/of/pgpass", "open /home/of/pgpass failed"),
    ("SIGNING_KEY", "first line\nsecond line", "x second line"),
    ("PGPASSWORD", "caf\N{LATIN SMALL LETTER E WITH ACUTE}-noir", "caf\N{LATIN SMALL LETTER E WITH ACUTE}-noir"),
    ("OPS_EVENTS_DSN", KEEPER, "w@ndering"),
    ("OPS_EVENTS_DSN", KEEPER, "w%40ndering"),
    ("OPS_EVENTS_DSN", KEEPER, 'role "keeper"'),
    ("OPS_EVENTS_DSN", KEEPER, "no route to h1.inner"),
    ("OPS_EVENTS_DSN", KEEPER, "no route to h2.inner"),
    ("OPS_EVENTS_DSN", f"postgresql{SLASHES}x{AT}/db?host=/run/of/db&pass" + "word=wandering", "/run/of/db"),
    ("REDIS_URL", f"redis{SLASHES}:wan[der#i/ng?{AT}cache.inner/0", "wan[der#i/ng?"),
    ("PG_DSN", "host=h1.inner pass" + "word='wander ing'", "wander ing"),
    ("BROKER_URLS", f"amqp{SLASHES}a:wandering{AT}one.inner,amqp{SLASHES}b{AT}two.inner:5672", "two.inner"),
)
"""Name and value of something in the environment, and a form of it in a file."""


def _in_files(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "log").write_text(f"one\n<{text}>\n", encoding="utf-8")
    (folder / "packed").write_bytes(_zip(("log", f"<{text}>".encode())))
    (folder / "wide").write_bytes(f"<{text}>".encode("utf-16"))


def test_what_is_no_value_of_the_environment_has_no_form_that_is_known(tmp_path: Path, lines: Lines) -> None:
    for number, (_, _, text) in enumerate(FORMS):
        _in_files(tmp_path / str(number), text)
    assert main([str(tmp_path)]) == 0
    assert lines() == _clean(3 * len(FORMS))


@pytest.fixture
def _blind_detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that finds nothing, at once: what is found is found without it."""
    program = tmp_path / "detector"
    report = (
        '{"findings": [], "audit": {"summary": {"scan_succeeded": 1}}, "metadata": {"summary": {"blobs_scanned": 9}}}'
    )
    program.write_text(f"#!/bin/sh\necho '{report}'\n")
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: str(program))


@pytest.mark.usefixtures("_blind_detector")
@pytest.mark.parametrize(("name", "value", "text"), FORMS)
def test_a_value_of_the_environment_is_found_in_every_form(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch, name: str, value: str, text: str
) -> None:
    _in_files(tmp_path / "files", text)
    monkeypatch.setenv(name, value)
    assert main([str(tmp_path / "files")]) == 1
    printed = lines()
    assert [line for line in printed if "environment" in line][:2] == [
        _finding("environment_value", line=2),
        _finding("environment_value", file=2),
    ]
    assert not [form for form in (value, text) if form in "".join(printed)]


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=6, max_size=40), st.binary(), st.binary())
@settings(max_examples=300)
def test_base64_of_anything_around_a_value_holds_one_of_its_forms(value: str, before: bytes, after: bytes) -> None:
    from ops_pipeline.secret_guard.values import _forms

    known = list(_forms(value))
    for encoded in (value.encode(), b64encode(before + value.encode() + after), quote(value).encode()):
        assert any(form in encoded for form in known)
    assert all(len(form) >= 6 for form in known)


def test_a_value_that_is_short_common_or_public_is_no_secret(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = (
        ("API_TOKEN", "short", "short"),
        (
            "OPS_EVENTS_DSN",
            f"postgresql{SLASHES}postgres{AT}localhost/ops_pipeline",
            "postgres localhost ops_pipeline",
        ),
        ("GITHUB_SERVER_URL", f"https{SLASHES}github.com", f"see https{SLASHES}github.com/a/b"),
        ("TOKENS", "of-no-known-form", "of-no-known-form"),
        ("EMPTY_TOKEN", "", "anything"),
    )
    for name, value, text in values:
        (tmp_path / name).write_text(text)
        monkeypatch.setenv(name, value)
    assert main([str(tmp_path)]) == 0
    assert lines() == _clean(len(values))


def test_the_detector_gets_none_of_the_values_and_no_file_name(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    program = tmp_path / "detector"
    program.write_text(f'#!/bin/sh\n{{ echo "$@"; env; ls -A; }} >{seen}\n')
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: str(program))
    monkeypatch.setenv("API_TOKEN", "of-no-known-form")
    (tmp_path / "of-no-known-form").write_text("x")
    assert main([str(tmp_path / "of-no-known-form")]) == 1
    assert lines() == ["secret_echo_guard status=fail reason=guard_failed"]
    assert "scan " in seen.read_text()
    assert "of-no-known-form" not in seen.read_text()


# What it says


def test_the_name_of_a_file_is_never_printed(tmp_path: Path, lines: Lines) -> None:
    folder = tmp_path / f"jane{AT}corp.net"
    folder.mkdir()
    (folder / "s3cr3t\nname\udcff".encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")).write_text(
        DSN
    )
    (folder / "z").write_bytes(_zip((f"{OWN['ops_uuid'][0]}/s3cr3t", DSN.encode())))
    assert main([str(folder)]) == 1
    *findings, end = lines()
    assert all(map(FINDING.fullmatch, findings))
    assert end == _found(files=2, findings=len(findings))


def test_json_has_the_same_fields(tmp_path: Path, lines: Lines) -> None:
    (tmp_path / "log").write_text(f"\n{OWN['ops_uuid'][0]}\n")
    assert main([str(tmp_path), "--json"]) == 1
    assert [json.loads(line) for line in lines()] == [
        {"line": "secret_echo_guard_finding", "argument": 1, "file": 1, "line_number": 2, "rule": "ops_uuid"},
        {"line": "secret_echo_guard", "status": "fail", "reason": "secret_found", "files": 1, "findings": 1},
    ]


def test_two_runs_say_the_same(tmp_path: Path, lines: Lines) -> None:
    for number in range(30):
        (tmp_path / str(number)).write_text("\n".join(text for texts in OWN.values() for text in texts[number % 2 :]))
    assert main([str(tmp_path)]) == 1
    before = lines()
    assert main([str(tmp_path)]) == 1
    assert lines() == before


def test_nothing_is_left_behind(tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    (tmp_path / "log").write_bytes(_zip(("log", DSN.encode())))
    (tmp_path / "broken").write_bytes(gzip.compress(DSN.encode())[:-9])
    for name in ("log", "broken"):
        assert main([str(tmp_path / name)]) == 1
        assert list(scratch.iterdir()) == []


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=8),
    st.sampled_from(OWN["ops_postgres_dsn"]),
)
@settings(max_examples=20)
@example([("password: ", "\n${EXAMPLE}"), ("<script>", "</script>"), ("\0\x01", "\xff"), ("test", "test")], DSN)
def test_a_dsn_is_found_wherever_it_stands_and_every_line_has_its_form(
    around: list[tuple[str, str]], planted: str
) -> None:
    with TemporaryDirectory() as folder:
        for number, (before, after) in enumerate(around):
            content = f"{before}{planted}{after}".encode("utf-8", "surrogatepass")
            (Path(folder) / str(number)).write_bytes(content)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            assert main([folder]) == 1
    *findings, end = printed.getvalue().splitlines()
    assert all(map(FINDING.fullmatch, findings))
    assert END.fullmatch(end)
    for number, (before, _) in enumerate(around, start=1):
        line = before.encode("utf-8", "surrogatepass").count(b"\n") + 1
        assert _finding("ops_postgres_dsn", line=line, file=number) in findings


# What cannot be looked at


def _encrypted(content: bytes) -> bytes:
    """Set the flag that says that a zip's members are encrypted."""
    packed = bytearray(content)
    packed[6] |= 1
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    return bytes(packed)


def _deep(content: bytes, depth: int) -> bytes:
    return gzip.compress(_deep(content, depth - 1)) if depth else content


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(b"x" * 1000)[:-9],
        gzip.compress(b"x" * 1000)[:20],
        _zip(("log", b"x" * 1000))[:-30],
        _zip(("log", b"x" * 1000))[:-70] + _zip(),
        _encrypted(_zip(("log", b"x" * 1000))),
        _zip(("log.gz", gzip.compress(b"x")[:-1])),
        lzma.compress(b"x" * 1000)[:-9],
        _tar("log", b"x" * 9000)[:4096],
        _deep(b"x", 9),
    ],
    ids=[
        "cut gzip",
        "short gzip",
        "cut zip",
        "emptied zip",
        "encrypted zip",
        "gzip in zip",
        "cut xz",
        "cut tar",
        "too deep",
    ],
)
def test_an_archive_that_cannot_be_looked_into_is_never_fine(tmp_path: Path, lines: Lines, content: bytes) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").write_bytes(content)
    assert main([str(tmp_path)]) == 1
    assert lines() == ["secret_echo_guard status=fail reason=file_unreadable argument=1 file=2"]


def test_eight_deep_is_looked_into(tmp_path: Path, lines: Lines) -> None:
    (tmp_path / "a").write_bytes(_deep(OWN["ops_uuid"][0].encode(), 8))
    assert main([str(tmp_path)]) == 1
    assert lines() == [_finding("ops_uuid"), _found(files=1, findings=1)]


def test_a_path_that_is_missing_or_cannot_be_read_is_never_fine(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "log").write_text("x")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    for name, failure in (
        ("s3cr3t", "file_missing argument=2"),
        ("loop", "file_unreadable argument=2"),
        ("pipe", "not_a_file argument=2"),
        ("log/s3cr3t", "file_unreadable argument=2"),
    ):
        assert main([str(tmp_path / "log"), str(tmp_path / name)]) == 1
        assert lines() == [f"secret_echo_guard status=fail reason={failure}"]

    def refuse(*_args: object, **_options: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "open", refuse)
    assert main([str(tmp_path / "log")]) == 1
    assert lines() == ["secret_echo_guard status=fail reason=file_unreadable argument=1 file=1"]
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: refuse() if str(path) == str(tmp_path) else scandir(path))
    assert main([str(tmp_path)]) == 1
    assert lines() == ["secret_echo_guard status=fail reason=file_unreadable argument=1"]


def test_a_full_disk_is_said_to_be_one(tmp_path: Path, lines: Lines) -> None:
    (tmp_path / "log").write_text("x" * 5000)
    before = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))"
    code = (
        f"import sys; {before}\nfrom ops_pipeline.tools.secret_echo_guard import main\nsys.exit(main(sys.argv[1:]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "log")], capture_output=True, text=True, cwd=ROOT
    )
    assert ended.stdout == "secret_echo_guard status=fail reason=file_not_written argument=1 file=1\n"
    assert ended.stderr == ""


@pytest.mark.parametrize("arguments", [[], [""], ["--all", "log"]])
def test_without_a_path_it_is_a_usage_error(lines: Lines, arguments: list[str]) -> None:
    assert main(arguments) == 1
    assert lines()[0].startswith("secret_echo_guard status=fail reason=usage")


@pytest.mark.parametrize(
    "script",
    [
        "echo s3cr3t",
        "echo s3cr3t >&2; exit 3",
        "echo '{}'",
        "echo '{\"findings\": []}'; exit 200",
        "kill -9 $$",
    ],
)
def test_a_detector_that_does_not_do_its_work_is_never_fine(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    program = tmp_path / "detector"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: str(program))
    assert main([str(program)]) == 1
    assert lines() == ["secret_echo_guard status=fail reason=guard_failed"]


@pytest.mark.parametrize(
    "changed",
    [
        {"audit": {"summary": {"scan_succeeded": 0}}},
        {"metadata": {"summary": {"blobs_scanned": 0}}},
        {"findings": [{"rule": {"id": "a"}, "finding": {"path": "s3cr3t", "line": 1}}]},
        {"findings": [{"rule": {"id": "a"}, "finding": {"path": "./7", "line": 1}}]},
        {"findings": [{"rule": {"id": "a"}, "finding": {"path": "./0", "line": "s3cr3t"}}]},
        {"findings": [{"rule": {"id": "7"}, "finding": {"path": "./0", "line": 1}}]},
        {"findings": [{"rule": {"id": 7}, "finding": {"path": "./0", "line": 1}}]},
        {"findings": [7]},
    ],
)
def test_a_report_that_is_not_of_these_files_is_refused(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch, changed: dict[str, object]
) -> None:
    report = {
        "findings": [],
        "audit": {"summary": {"scan_succeeded": 1}},
        "metadata": {"summary": {"blobs_scanned": 1}},
    }
    program = tmp_path / "detector"
    program.touch(mode=0o755)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: str(program))
    for said, expected in (
        (report, _clean(1)),
        (report | changed, ["secret_echo_guard status=fail reason=guard_failed"]),
    ):
        program.write_text(f"#!/bin/sh\necho '{json.dumps(said)}'\n")
        main([str(program)])
        assert lines() == expected
