"""`ops_ci_normalize`: exit 2 becomes 0 only where a scheduled run's log proves insufficient data alone."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_pipeline.health import DayCounts, Thresholds, Verdict, evaluate
from ops_pipeline.health.metrics import Metrics, delivered_totals, hold_suppression_rates, second_touch_summaries
from ops_pipeline.report.daily_lines import daily_lines
from ops_pipeline.tools.ops_ci_normalize import _LONGEST, main, proves_insufficient_data

DAY = date(2026, 11, 7)
MODE = "ops_daily mode=strict reason=prod_configured\n"


def _log(*days: DayCounts) -> str:
    """What a strict run on these counts prints."""
    verdict: Verdict = evaluate(days, DAY, Thresholds())
    metrics = Metrics(
        as_of=DAY,
        totals=delivered_totals(days, DAY, (7, 30)),
        rates=hold_suppression_rates(days, DAY, (7, 30)),
        second_touch=second_touch_summaries(days, DAY, (7, 30)),
    )
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


@pytest.mark.parametrize(
    "log",
    [
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
        INSUFFICIENT.replace(" ", "\u00a0"),
        INSUFFICIENT.replace("status", "st\u0430tus"),
        HEALTHY,
        MODE,
        "",
        "\n\n\n",
        b"\x00" * 1000,
        b"\xff\xfe" + INSUFFICIENT.encode("utf-16-le"),
        INSUFFICIENT.encode() + b"\xff\n",
    ],
)
def test_a_log_that_does_not_prove_insufficient_data_alone_stays_red(normalize: Normalize, log: str | bytes) -> None:
    assert normalize(log) == (2, "ops_ci_normalize status=fail reason=unexpected_exit_2")


def test_bytes_that_are_no_text_elsewhere_in_the_log_change_nothing(normalize: Normalize) -> None:
    assert normalize(b"\xff\xfe\x80\n" + NOTHING.encode() + b"\xc3\x28\n")[0] == 0
    assert normalize(b"\xff\xfe\x80\n" + FEW_REACTIONS.encode() + b"\xc3\x28\n")[0] == 2


@pytest.mark.parametrize("code", [1, 3, 130, 137, 255])
def test_any_other_exit_code_stays_whatever_the_log_says(normalize: Normalize, code: int) -> None:
    for log in (NOTHING, HEALTHY, FEW_REACTIONS):
        assert normalize(log, code) == (code, f"ops_ci_normalize status=fail reason=exit_{code}")


@pytest.mark.parametrize("event", ["", "push", "workflow_dispatch", "Schedule", "schedule ", "schedules"])
@pytest.mark.parametrize("code", [0, 1, 2, 255])
def test_unless_the_schedule_started_the_run_its_exit_code_passes_through(
    normalize: Normalize, event: str, code: int
) -> None:
    assert normalize(NOTHING, code, event) == (code, "ops_ci_normalize status=skip reason=not_schedule")


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


@pytest.mark.parametrize("code", [0, 1, 2, 137])
def test_a_log_that_is_missing_proves_nothing_and_is_never_ok(tmp_path: Path, code: int) -> None:
    for path in (tmp_path / "missing.log", tmp_path, tmp_path / "no" / "folder.log"):
        found, line = _run("--exit-code", code, "--log-file", path, "--event", "schedule")
        assert found == (code or 1)
        if code in (0, 2):
            assert line == "ops_ci_normalize status=fail reason=log_missing"


@pytest.mark.parametrize(
    "code",
    [
        "256",
        "-1",
        "x",
        " 2",
        "2 ",
        "",
        "+2",
        "2.0",
        "0x2",
        "1e0",
        "1000",
        "00000002",
        "\u0662",
        "\u00b2",
        "\uff12",
        "2\n",
    ],
)
def test_what_is_no_exit_code_is_a_usage_error_and_never_0(log_path: Path, code: str) -> None:
    log_path.write_text(NOTHING)
    assert _run(f"--exit-code={code}", "--log-file", log_path, "--event", "schedule") == (
        1,
        "ops_ci_normalize status=fail reason=usage option=exit_code",
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
        "ops_daily_watchdog status=insufficient_data reason=delivered_total_0\n",
        "x",
        " a=",
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


@pytest.mark.parametrize("before", range(_LONGEST - 12, _LONGEST + 2))
def test_in_a_line_of_any_length_no_word_is_overlooked(normalize: Normalize, before: int) -> None:
    for word in ("unhealthy", "ops_daily_watchdog"):
        red = (2, "ops_ci_normalize status=fail reason=unexpected_exit_2")
        assert normalize(f"{INSUFFICIENT}\n{'x' * before}{word}{'y' * _LONGEST}\n") == red


@pytest.mark.parametrize("length", [_LONGEST - 1, _LONGEST, _LONGEST + 1, 3 * _LONGEST])
def test_a_line_that_goes_on_after_what_reads_like_the_watchdogs_proves_nothing(
    normalize: Normalize, length: int
) -> None:
    line = INSUFFICIENT + " a=b" * (length // 4)
    line = line[: length - 1].rstrip(" a=") + "b" * 3
    assert normalize(f"{line} and more\n") == (2, "ops_ci_normalize status=fail reason=unexpected_exit_2")
    assert normalize(f"{'x' * length}\n{INSUFFICIENT}\n")[0] == 0
