"""`ops_ci_normalize`: exit 2 becomes 0 only where a scheduled run's log proves insufficient data alone."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_pipeline.health import DayCounts, Thresholds, Verdict, evaluate
from ops_pipeline.health.metrics import compute_metrics
from ops_pipeline.report.daily_lines import daily_lines
from ops_pipeline.tools import ops_ci_normalize
from ops_pipeline.tools.ops_ci_normalize import _LONGEST, _OVERLAP, _lines, main, proves_insufficient_data

DAY = date(2026, 11, 7)
MODE = "ops_daily mode=strict reason=prod_configured\n"


def _log(*days: DayCounts) -> str:
    """What a strict run on these counts prints."""
    verdict: Verdict = evaluate(days, DAY, Thresholds())
    metrics = compute_metrics(days, DAY, (7, 30))
    return MODE + "".join(f"{line}\n" for line in daily_lines(metrics, verdict))


NOTHING = _log()
LITTLE = _log(DayCounts(DAY, {("first", "delivered", None): 1}))
HEALTHY = _log(DayCounts(DAY, {("first", "delivered", None): 500, ("first", "acknowledged", "positive"): 250}))
FEW_REACTIONS = _log(
    DayCounts(
        DAY,
        {
            ("first", "delivered", None): 400,
            ("first", "acknowledged", "positive"): 20,
            # The second touch has too little to judge.
            ("second", "offered", None): 1,
            ("second", "delivered", None): 1,
        },
    )
)
LEAK_WITHOUT_TRAFFIC = _log(DayCounts(DAY, {("second", "disabled", "identity_leak"): 1}))

INSUFFICIENT = "ops_daily_watchdog status=insufficient_data reason=delivered_total_0 as_of=2026-11-07"
UNHEALTHY = "ops_daily_watchdog status=unhealthy reason=positive_rate_limit as_of=2026-11-07"

Normalize = Callable[..., tuple[int, str]]


@contextlib.contextmanager
def _captured() -> Iterator[tuple[io.StringIO, io.StringIO]]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield out, err


def _run(*arguments: object) -> tuple[int, str]:
    """Run the tool; return its exit code and its one line."""
    with _captured() as (out, err):
        code = main([str(argument) for argument in arguments])
    assert err.getvalue() == ""
    (line,) = out.getvalue().splitlines()
    return code, line


@pytest.fixture(scope="module")
def log_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs") / "ops_daily.log"


@pytest.fixture(scope="module")
def normalize(log_path: Path) -> Normalize:
    """Run the tool on a log: its exit code and its one line."""

    def run(log: str | bytes, code: object = 2, event: str = "schedule") -> tuple[int, str]:
        log_path.write_bytes(log.encode() if isinstance(log, str) else log)
        return _run("--exit-code", code, "--log-file", log_path, "--event", event)

    return run


@pytest.mark.parametrize("log", [NOTHING, LITTLE], ids=["nothing", "little"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_scheduled_run_that_had_too_little_data_stays_green(normalize: Normalize, log: str, end: str) -> None:
    assert "status=insufficient_data" in log
    assert normalize(log.replace("\n", end)) == (0, "ops_ci_normalize status=normalized reason=insufficient_data")


def test_a_run_that_succeeded_is_ok(normalize: Normalize) -> None:
    assert normalize(HEALTHY, 0) == (0, "ops_ci_normalize status=ok reason=exit_0")


UNPROVEN: tuple[str | bytes, ...] = (
    # Few reactions beside a second touch with little data, and a leak while there is no traffic.
    FEW_REACTIONS,
    LEAK_WITHOUT_TRAFFIC,
    f"{INSUFFICIENT}\n{UNHEALTHY}\n",
    f"{UNHEALTHY}\n{INSUFFICIENT}\n",
    f"{UNHEALTHY}\nops_daily_second_touch status=insufficient_data\n",
    f"ops_daily_signal signal=hold_rate status=unhealthy\n{INSUFFICIENT}\n",
    # What only looks like the line.
    "ops_daily_watchdog status=insufficient_data_foo reason=delivered_total_0\n",
    "ops_daily_watchdog status=insufficient_data\n",
    "ops_daily_watchdog status=insufficient_data reason=\n",
    "ops_daily_watchdog  status=insufficient_data reason=delivered_total_0\n",
    "ops_daily_watchdog reason=delivered_total_0 status=insufficient_data\n",
    f"x{INSUFFICIENT}\n",
    f" {INSUFFICIENT}\n",
    f"{INSUFFICIENT} and more\n",
    f"{INSUFFICIENT} \n",
    f"{INSUFFICIENT} Reason=x\n",
    f"\x1b[32m{INSUFFICIENT}\x1b[0m\n",
    f"echo '{INSUFFICIENT}'\n",
    "status=insufficient_data\n",
    "ops_daily_second_touch status=insufficient_data reason=delivered_total_0\n",
    f"{INSUFFICIENT}\nops_daily_watchdog status=heal",
    f"{INSUFFICIENT}\nops_daily_watchdog",
    f"{INSUFFICIENT}\nops_daily_watchdog status=healthy reason=within_limits\n",
    f"{INSUFFICIENT}\rops_daily_watchdog status=healthy reason=within_limits\n",
    f"50%\r{INSUFFICIENT}\n",
    # A carriage return, a blank or another separator of lines inside the line or behind it.
    INSUFFICIENT.replace(" as_of", "\r as_of"),
    f"{INSUFFICIENT}\r \n",
    f"{INSUFFICIENT}\x00\n",
    *(f"{INSUFFICIENT}{separator}more\n" for separator in "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"),
    *(f"more{separator}{INSUFFICIENT}\n" for separator in "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"),
    f"\ufeff{INSUFFICIENT}\n",
    # The line within another.
    f"2026-11-07T05:00:00.0000000Z {INSUFFICIENT}\n",
    f"{INSUFFICIENT} {INSUFFICIENT}\n",
    f'"{INSUFFICIENT}"\n',
    f"ops_daily_totals {INSUFFICIENT}\n",
    f"{INSUFFICIENT}\n# {INSUFFICIENT}\n",
    f"{INSUFFICIENT}\nthe ops_daily_watchdog said no more\n",
    # Other spellings and other forms of output.
    INSUFFICIENT.replace("insufficient", "Insufficient"),
    INSUFFICIENT.upper(),
    INSUFFICIENT.replace("status=", "status =").replace("reason=", "reason ="),
    INSUFFICIENT.replace("=", ":"),
    INSUFFICIENT.replace(" reason", "  reason"),
    INSUFFICIENT.replace(" ", "\t"),
    INSUFFICIENT.replace("status=insufficient_data", "status=insufficient_data,healthy"),
    INSUFFICIENT.replace("status=insufficient_data", "status=healthy status=insufficient_data"),
    INSUFFICIENT.replace("ops_daily_watchdog", "ops_daily_watchdog_v2"),
    '{"line":"ops_daily_watchdog","status":"insufficient_data","reason":"delivered_total_0"}\n',
    "OPS_DAILY_WATCHDOG WARNING - status=insufficient_data reason=delivered_total_0\n",
    # Unhealthy anywhere, in whatever text, before or after.
    f"{INSUFFICIENT}\nunhealthy",
    f"unhealthy\n{INSUFFICIENT}\n",
    f"{INSUFFICIENT}\nthe host is notunhealthyatall\n",
    f'{INSUFFICIENT}\nops_metrics_snapshot {{"status":"unhealthy"}}\n',
    f"{INSUFFICIENT} reasons=unhealthy\n",
    f"\xff\x00unhealthy\x00\n{INSUFFICIENT}\n".encode("latin-1"),
    bytes(range(256)),
    bytes(range(256)) * 1000,
    INSUFFICIENT.encode("utf-16"),
    INSUFFICIENT.encode("utf-32"),
    INSUFFICIENT.replace(" ", "\u00a0"),
    INSUFFICIENT.replace("status", "st\u0430tus"),
    HEALTHY,
    MODE,
    "",
    "\n\n\n",
    b"\x00" * 1000,
    b"\xff\xfe" + INSUFFICIENT.encode("utf-16-le"),
    INSUFFICIENT.encode() + b"\xff\n",
)
"""Logs that do not prove insufficient data alone."""


def test_a_log_that_does_not_prove_insufficient_data_alone_stays_red(normalize: Normalize) -> None:
    for log in UNPROVEN:
        assert normalize(log) == (2, "ops_ci_normalize status=fail reason=unexpected_exit_2"), log[:200]


def test_bytes_that_are_no_text_elsewhere_in_the_log_change_nothing(normalize: Normalize) -> None:
    assert normalize(b"\xff\xfe\x80\n" + NOTHING.encode() + b"\xc3\x28\n")[0] == 0
    assert normalize(b"\xff\xfe\x80\n" + FEW_REACTIONS.encode() + b"\xc3\x28\n")[0] == 2


def test_any_other_exit_code_stays_whatever_the_log_says(normalize: Normalize) -> None:
    for code, log in product((1, 3, 130, 137, 255), (NOTHING, HEALTHY, FEW_REACTIONS)):
        assert normalize(log, code) == (code, f"ops_ci_normalize status=fail reason=exit_{code}")


def test_unless_the_schedule_started_the_run_its_exit_code_passes_through(normalize: Normalize) -> None:
    for event in ("", "push", "workflow_dispatch", "Schedule", "schedule ", "schedules"):
        for code in (0, 1, 2, 255):
            skipped = (code, "ops_ci_normalize status=skip reason=not_schedule")
            assert normalize(NOTHING, code, event) == skipped, event


def test_what_started_the_run_is_taken_from_the_environment_of_ci(
    log_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_path.write_text(NOTHING)
    arguments = ("--exit-code", 2, "--log-file", log_path)
    assert _run(*arguments)[0] == 2
    monkeypatch.setenv("GITHUB_EVENT_NAME", "push")
    assert _run(*arguments)[0] == 2
    monkeypatch.setenv("GITHUB_EVENT_NAME", "schedule")
    assert _run(*arguments)[0] == 0
    assert _run(*arguments, "--event", "push")[0] == 2


def test_an_event_that_is_given_counts_more_than_that_of_ci_even_if_it_is_empty(
    log_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_path.write_text(NOTHING)
    monkeypatch.setenv("GITHUB_EVENT_NAME", "schedule")
    skipped = (2, "ops_ci_normalize status=skip reason=not_schedule")
    assert _run("--exit-code", 2, "--log-file", log_path, "--event", "") == skipped
    assert _run("--exit-code", 2, "--log-file", log_path, "--event=push") == skipped
    monkeypatch.setenv("GITHUB_EVENT_NAME", "push")
    assert _run("--exit-code", 2, "--log-file", log_path, "--event=schedule")[0] == 0


@pytest.mark.parametrize("environment", [None, ""])
def test_where_nothing_says_what_started_the_run_its_exit_code_passes_through(
    log_path: Path, monkeypatch: pytest.MonkeyPatch, environment: str | None
) -> None:
    log_path.write_text(NOTHING)
    if environment is not None:
        monkeypatch.setenv("GITHUB_EVENT_NAME", environment)
    for code, path in product((0, 1, 2, 255), (log_path, log_path.with_name("missing.log"))):
        assert _run("--exit-code", code, "--log-file", path) == (
            code,
            "ops_ci_normalize status=skip reason=not_schedule",
        )


def _unreadable(folder: Path) -> Iterator[Path]:
    """Yield paths that cannot be read, for anybody."""
    yield folder
    yield Path()
    yield folder / ("x" * 5000)
    yield Path(f"{folder}/" * 1000)
    loop = folder / "loop"
    loop.symlink_to(loop)
    yield loop
    file = folder / "file"
    file.write_text(NOTHING)
    yield file / "ops_daily.log"
    dangling = folder / "dangling"
    dangling.symlink_to(folder / "missing")
    yield dangling
    if sys.platform == "linux":
        # Can be opened, and then not read.
        yield Path("/proc/self/mem")
    if os.geteuid() != 0:
        file.chmod(0)
        yield file


def test_a_log_that_cannot_be_read_turns_ok_into_1_and_leaves_2_red(tmp_path: Path) -> None:
    for path in _unreadable(tmp_path):
        for code, expected in ((0, 1), (2, 2)):
            assert _run("--exit-code", code, "--log-file", path, "--event", "schedule") == (
                expected,
                "ops_ci_normalize status=fail reason=log_missing",
            ), path


@pytest.mark.parametrize("code", [0, 1, 2, 137])
def test_a_log_that_is_missing_proves_nothing_and_is_never_ok(tmp_path: Path, code: int) -> None:
    for path in (tmp_path / "missing.log", tmp_path, tmp_path / "no" / "folder.log"):
        found, line = _run("--exit-code", code, "--log-file", path, "--event", "schedule")
        assert found == (code or 1)
        if code in (0, 2):
            assert line == "ops_ci_normalize status=fail reason=log_missing"


def test_what_is_no_exit_code_is_a_usage_error_and_never_0(log_path: Path) -> None:
    log_path.write_text(NOTHING)
    numbers = ("256", "-1", "1000", "+2", "2.0", "0x2", "1e0", "00000002")
    for code in (*numbers, "", "x", " 2", "2 ", "2\n", "\u0662", "\u00b2", "\uff12"):
        assert _run(f"--exit-code={code}", "--log-file", log_path, "--event", "schedule") == (
            1,
            "ops_ci_normalize status=fail reason=usage option=exit_code",
        ), ascii(code)


@pytest.mark.parametrize(
    "code", [["-1"], ["--", "-1"], [], ["--"], ["256"], ["abc"], [""], ["$?"], ["0", "0"]], ids=str
)
def test_an_exit_code_that_got_lost_on_the_way_is_a_usage_error(log_path: Path, code: list[str]) -> None:
    log_path.write_text(NOTHING)
    found, line = _run("--event=schedule", "--log-file", log_path, "--exit-code", *code)
    assert found == 1
    assert line in {
        "ops_ci_normalize status=fail reason=usage",
        "ops_ci_normalize status=fail reason=usage option=exit_code",
    }
    # An unset variable in a shell.
    assert _run("--exit-code", "--log-file", log_path, "--event=schedule") == (
        1,
        "ops_ci_normalize status=fail reason=usage option=exit_code",
    )


def test_every_exit_code_there_is_passes_unless_it_is_2_with_proof(normalize: Normalize) -> None:
    for code in range(256):
        assert normalize(NOTHING, code)[0] == (0 if code == 2 else code)
        assert normalize(FEW_REACTIONS, code)[0] == code
        assert normalize(NOTHING, code, "push")[0] == code
        assert normalize(NOTHING, f"{code:03}", "push")[0] == code


def test_quiet_says_nothing_where_it_ends_with_0(log_path: Path) -> None:
    log_path.write_text(NOTHING)
    with _captured() as (out, err):
        assert main(["--quiet", "--exit-code=2", f"--log-file={log_path}", "--event=schedule"]) == 0
        assert main(["--quiet", "--exit-code=0", f"--log-file={log_path}", "--event=push"]) == 0
    assert (out.getvalue(), err.getvalue()) == ("", "")
    assert _run("--quiet", "--exit-code=2", f"--log-file={log_path}", "--event=push") == (
        2,
        "ops_ci_normalize status=skip reason=not_schedule",
    )


@pytest.mark.parametrize(
    "arguments", [[], ["--exit-code", "2"], ["--log-file", "x"], ["--exit=0", "--log=x", "--event=push"], ["0", "x"]]
)
def test_a_wrong_command_line_is_exit_1(arguments: list[str]) -> None:
    code, line = _run(*arguments)
    assert code == 1
    assert line.startswith("ops_ci_normalize status=fail reason=usage")


def test_json_gives_the_same_fields_as_an_object(log_path: Path) -> None:
    log_path.write_text(NOTHING)
    code, line = _run("--exit-code", 2, "--log-file", log_path, "--event", "schedule", "--json")
    assert code == 0
    assert json.loads(line) == {
        "line": "ops_ci_normalize",
        "status": "normalized",
        "reason": "insufficient_data",
    }


# Whatever the log is

noise = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "status=insufficient_data",
            "status=insufficient_data_foo",
            "ops_daily_second_touch as_of=2026-11-07 status=insufficient_data reason=delivered_total_0",
            "ops_daily_signal signal=delivered status=insufficient_data reason=no_baseline",
            "ops_metrics_snapshot {}",
            MODE.strip(),
            "",
            " ",
        ]
    ),
).filter(lambda text: "unhealthy" not in text and "ops_daily_watchdog" not in text)

pieces = st.one_of(
    noise.map(lambda text: ("noise", text.replace("\n", " ").encode("utf-8", "surrogatepass"))),
    st.binary(max_size=20).filter(lambda raw: b"\n" not in raw).map(lambda raw: ("noise", raw)),
    st.sampled_from(
        [
            ("insufficient", INSUFFICIENT.encode()),
            ("insufficient", INSUFFICIENT.encode() + b" reasons=delivered_total_0 signals=9 failing=0 undecided=9"),
            ("insufficient", INSUFFICIENT.encode() + b"\r"),
            ("unhealthy", UNHEALTHY.encode()),
            ("unhealthy", b"prefix " + UNHEALTHY.encode() + b" suffix"),
            ("unhealthy", b"ops_daily_signal signal=hold_rate status=unhealthy reason=hold_rate_limit"),
            ("unhealthy", b'{"line":"ops_daily_watchdog","status":"unhealthy"}'),
            ("other", b"ops_daily_watchdog status=healthy reason=within_limits"),
            ("other", b"ops_daily_watchdog status=insufficient_data_foo reason=delivered_total_0"),
            ("other", b"ops_daily_watchdog status=insufficient_dat"),
            ("other", INSUFFICIENT.encode() + b" \xff=1"),
            ("other", b"> " + INSUFFICIENT.encode()),
        ]
    ),
)


@given(st.lists(pieces, max_size=8), st.sampled_from([0, 1, 2, 3, 255]), st.sampled_from(["schedule", "push", ""]))
def test_exit_2_becomes_0_exactly_where_every_condition_holds(
    normalize: Normalize, log: list[tuple[str, bytes]], code: int, event: str
) -> None:
    kinds = [kind for kind, _ in log]
    watchdog = [kind for kind in kinds if kind in ("insufficient", "other")]
    is_proven = "unhealthy" not in kinds and watchdog[-1:] == ["insufficient"]
    found, line = normalize(b"\n".join(text for _, text in log), code, event)
    if event == "schedule" and code == 2 and is_proven:
        assert (found, line) == (0, "ops_ci_normalize status=normalized reason=insufficient_data")
    else:
        assert found == code
        assert "normalized" not in line


@given(st.integers(0, len(FEW_REACTIONS)), st.integers(0, len(LEAK_WITHOUT_TRAFFIC)))
def test_the_log_of_an_unhealthy_run_stays_red_wherever_it_is_cut(normalize: Normalize, cut: int, other: int) -> None:
    assert normalize(FEW_REACTIONS[:cut])[0] == 2
    assert normalize(LEAK_WITHOUT_TRAFFIC[:other])[0] == 2
    assert normalize(FEW_REACTIONS[cut:] + LEAK_WITHOUT_TRAFFIC[:other])[0] == 2


# Real logs, damaged in any way

REAL = tuple(log.encode() for log in (NOTHING, LITTLE, HEALTHY, FEW_REACTIONS, LEAK_WITHOUT_TRAFFIC))
RED = tuple(log for log in REAL if b"unhealthy" in log)
TOKENS = (
    b"unhealthy",
    b"healthy",
    b"insufficient_data",
    b"ops_daily_watchdog",
    b" status=",
    b" reason=",
    b"\n",
    b"\r",
    b" ",
    b"\x00",
    b"\xff",
    b"_foo",
    INSUFFICIENT.encode(),
    UNHEALTHY.encode(),
    INSUFFICIENT.encode() + b"\n",
)


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    """A log of a real run after a few cuts, repeats, insertions, swaps of bytes, and splices with another."""
    log = draw(st.sampled_from(REAL))
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.integers(0, len(log)))
        end = draw(st.integers(start, min(len(log), start + 300)))
        middle = draw(
            st.one_of(
                st.just(b""),
                st.sampled_from(TOKENS),
                st.binary(max_size=4),
                st.just(log[start:end] * 2),
                st.just(log[start:end].swapcase()),
                st.just(draw(st.sampled_from(REAL))[start:]),
            )
        )
        log = log[:start] + middle + log[end:]
    return log


_INSUFFICIENT_LINE = re.compile(
    rb"ops_daily_watchdog status=insufficient_data reason=[a-z0-9_.:,+-]+( [a-z][a-z0-9_]*=[a-z0-9_.:,+-]+)*"
)


def _may_be_green(log: bytes) -> bool:
    """Whether a log proves insufficient data alone, said of its bytes and independently of the code."""
    watchdog = [line for line in log.split(b"\n") if b"ops_daily_watchdog" in line]
    return (
        b"unhealthy" not in log
        and bool(watchdog)
        and _INSUFFICIENT_LINE.fullmatch(watchdog[-1].rstrip(b"\r")) is not None
    )


@given(_damaged(), st.sampled_from([0, 1, 2, 3, 255]), st.sampled_from(["schedule", "schedule", "push", ""]))
def test_however_a_real_log_is_damaged_nothing_unhealthy_or_failed_turns_green(
    normalize: Normalize, log: bytes, code: int, event: str
) -> None:
    found, line = normalize(log, code, event)
    assert (found == 0) is (code == 0 or (code == 2 and event == "schedule" and _may_be_green(log)))
    assert found in (0, code)
    assert ("status=normalized" in line) is (found == 0 and code == 2)


@given(st.sampled_from(RED), _damaged(), st.booleans())
def test_an_unhealthy_run_stays_red_whatever_else_is_in_the_log(
    normalize: Normalize, red: bytes, other: bytes, is_first: bool
) -> None:
    assert normalize(red + other if is_first else other + red)[0] == 2


@given(st.sampled_from(REAL[:2]), st.integers(0, 10**6), st.sampled_from(TOKENS))
def test_one_change_of_the_watchdogs_line_is_seen_to_the_last_byte(
    normalize: Normalize, log: bytes, at: int, token: bytes
) -> None:
    start = log.rindex(b"ops_daily_watchdog")
    at = start + at % (log.index(b"\n", start) - start + 1)
    damaged = log[:at] + token + log[at:]
    assert normalize(damaged)[0] == (0 if _may_be_green(damaged) else 2)


@given(_damaged(), st.integers(_OVERLAP + 1, 400))
def test_in_whatever_pieces_a_log_is_read_nothing_more_turns_green(log: bytes, longest: int) -> None:
    text = log.decode(errors="replace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ops_ci_normalize, "_LONGEST", longest)
        in_pieces = proves_insufficient_data(_lines(io.StringIO(text, newline="\n")))
    is_proven = proves_insufficient_data(line.rstrip("\r") for line in text.split("\n"))
    assert is_proven or not in_pieces
    watchdog = [line for line in text.split("\n") if "ops_daily_watchdog" in line]
    if all(len(line) < longest - 1 for line in watchdog):
        # Long lines that are not the watchdog's change nothing.
        assert in_pieces is is_proven


@given(st.binary())
def test_bytes_of_any_kind_never_turn_red_into_green(normalize: Normalize, log: bytes) -> None:
    assert normalize(log) == (2, "ops_ci_normalize status=fail reason=unexpected_exit_2")


@given(st.text())
def test_text_of_any_kind_proves_nothing(text: str) -> None:
    assert not proves_insufficient_data(text.split("\n"))


# However large the log is

MEGABYTES = 200

_WITH_LITTLE_MEMORY = """
import resource, sys
from ops_pipeline.tools.ops_ci_normalize import main
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
sys.exit(main(sys.argv[2:]))
"""


MEMORY = 192 << 20


@pytest.mark.parametrize(
    "piece",
    [
        "ops_daily_second_touch status=insufficient_data reason=delivered_total_0 " + "x" * 50 + "\n",
        pytest.param(
            "ops_daily_watchdog status=insufficient_data reason=delivered_total_0\n", marks=pytest.mark.slow
        ),
        "x",
        pytest.param(" a=", marks=pytest.mark.slow),
    ],
    ids=["many_lines", "many_watchdog_lines", "one_line", "one_line_of_fields"],
)
def test_a_huge_log_is_read_in_seconds_and_little_memory(tmp_path: Path, piece: str) -> None:
    path = tmp_path / "huge.log"
    with path.open("w", newline="\n") as log:
        log.write("ops_daily_watchdog status=insufficient_data reason=low_volume")
        for _ in range(MEGABYTES):
            log.write(piece * ((1 << 20) // len(piece)))
        log.write(f"\n{INSUFFICIENT}\n")
    arguments = ["--exit-code=2", f"--log-file={path}", "--event=schedule"]
    limit = MEMORY if sys.platform == "linux" else -1
    ended = subprocess.run(
        [sys.executable, "-c", _WITH_LITTLE_MEMORY, str(limit), *arguments],
        env={**os.environ},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (
        0,
        "ops_ci_normalize status=normalized reason=insufficient_data\n",
        "",
    )


def test_in_a_line_of_any_length_no_word_is_overlooked(normalize: Normalize) -> None:
    red = (2, "ops_ci_normalize status=fail reason=unexpected_exit_2")
    for before, word in product(range(_LONGEST - 12, _LONGEST + 2), ("unhealthy", "ops_daily_watchdog")):
        assert normalize(f"{INSUFFICIENT}\n{'x' * before}{word}{'y' * _LONGEST}\n") == red, (before, word)


@pytest.mark.parametrize("length", [_LONGEST - 1, _LONGEST, _LONGEST + 1, 3 * _LONGEST])
def test_a_line_that_goes_on_after_what_reads_like_the_watchdogs_proves_nothing(
    normalize: Normalize, length: int
) -> None:
    line = INSUFFICIENT + " a=b" * (length // 4)
    line = line[: length - 1].rstrip(" a=") + "b" * 3
    assert normalize(f"{line} and more\n") == (2, "ops_ci_normalize status=fail reason=unexpected_exit_2")
    assert normalize(f"{'x' * length}\n{INSUFFICIENT}\n")[0] == 0
