"""`prod_config_contract`, and what all tools promise before they do anything: fast, quiet, names and never values."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_pipeline.cli.catalogue import TOOLS, commands
from ops_pipeline.cli.command import Command
from ops_pipeline.contract.config import Expected
from ops_pipeline.contract.environment import EnvPart, Name
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.lines import NagiosState
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.tools import events
from ops_pipeline.tools.prod_config_contract import main

CANARY = "s3cr3t"
OPS = f"postgresql://ops:{CANARY}@db.example/ops?sslmode=verify-full"
DAGSTER = f"postgres://dagster:{CANARY}@db.example:5432/dagster?sslmode=require"
BOTH = {"OPS_POSTGRES_DSN": OPS, "DAGSTER_POSTGRES_DSN": DAGSTER}


@contextlib.contextmanager
def _environ(values: Mapping[str, str]) -> Iterator[None]:
    """Set exactly these of our names, and put back what was set before."""
    before = {name: os.environ.pop(name) for name in Name if name in os.environ}
    os.environ.update(values)
    try:
        yield
    finally:
        for name in Name:
            os.environ.pop(name, None)
        os.environ.update(before)


def _run(values: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    """Run the tool where these values are set; return its exit code and its one line."""
    out, err = io.StringIO(), io.StringIO()
    with _environ(values), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    assert err.getvalue() == ""
    (line,) = out.getvalue().splitlines()
    return code, line


FAIL = "prod_config status=fail reason="
REQUIRED = ("--mode=prod_required",)


@pytest.mark.parametrize("arguments", [(), REQUIRED, ("--mode=ci",)], ids=str)
def test_everything_required_is_set(arguments: tuple[str, ...]) -> None:
    assert _run(BOTH, *arguments) == (0, "prod_config status=ok required=2")


@pytest.mark.parametrize("arguments", [(), REQUIRED], ids=str)
@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ({}, "DAGSTER_POSTGRES_DSN,OPS_POSTGRES_DSN"),
        ({"OPS_POSTGRES_DSN": OPS}, "DAGSTER_POSTGRES_DSN"),
        ({"DAGSTER_POSTGRES_DSN": DAGSTER}, "OPS_POSTGRES_DSN"),
        ({"OPS_POSTGRES_DSN": OPS, "DAGSTER_POSTGRES_DSN": " "}, "DAGSTER_POSTGRES_DSN"),
        ({"OPS_POSTGRES_DSN": "nonsense"}, "DAGSTER_POSTGRES_DSN"),
        ({"OPS_EVENTS_DSN": OPS}, "DAGSTER_POSTGRES_DSN,OPS_POSTGRES_DSN"),
    ],
)
def test_what_is_missing_is_named(arguments: tuple[str, ...], values: dict[str, str], missing: str) -> None:
    assert _run(values, *arguments) == (1, f"{FAIL}missing_env missing={missing}")


ALL = ("DAGSTER_POSTGRES_DSN", "OPS_EVENTS_DSN", "OPS_FIRST_DAY", "OPS_POSTGRES_DSN")


def test_what_cannot_work_is_named_and_not_repeated() -> None:
    for changes, said in (
        ({"OPS_POSTGRES_DSN": f"'{OPS}'"}, "invalid_env invalid=OPS_POSTGRES_DSN part=scheme"),
        ({"DAGSTER_POSTGRES_DSN": f"mysql://u:{CANARY}@h/d"}, "invalid_env invalid=DAGSTER_POSTGRES_DSN part=scheme"),
        ({"OPS_EVENTS_DSN": f"postgresql://u:{CANARY}@h:abc/d"}, "invalid_env invalid=OPS_EVENTS_DSN part=port"),
        ({"OPS_EVENTS_RELATION": f"{CANARY} x"}, "invalid_env invalid=OPS_EVENTS_RELATION part=relation"),
        ({"OPS_FIRST_DAY": CANARY}, "invalid_env invalid=OPS_FIRST_DAY part=day"),
        (
            dict.fromkeys(ALL, CANARY),
            f"invalid_env invalid={','.join(ALL)} part=scheme,scheme,day,scheme",
        ),
        ({"OPS_CONFIG": f"/no/such/{CANARY}"}, "invalid_config line=none key=none expected=file"),
        # Another machine without a password, or without TLS.
        (
            {"OPS_POSTGRES_DSN": f"postgresql://{CANARY}@h/d?sslmode=require"},
            "invalid_env invalid=OPS_POSTGRES_DSN part=password",
        ),
        (
            {"DAGSTER_POSTGRES_DSN": f"postgresql://u:{CANARY}@h/d"},
            "invalid_env invalid=DAGSTER_POSTGRES_DSN part=tls",
        ),
        (
            {"OPS_EVENTS_DSN": f"postgresql://u:{CANARY}@h/d", "OPS_ALLOW_NO_TLS": "yes"},
            "invalid_env invalid=OPS_EVENTS_DSN part=tls",
        ),
    ):
        for arguments in (REQUIRED, ("--mode=ci",)):
            assert _run({**BOTH, **changes}, *arguments) == (1, f"{FAIL}{said}")


def test_a_dsn_of_another_machine_without_tls_is_fine_where_that_is_allowed() -> None:
    without = {**BOTH, "OPS_POSTGRES_DSN": f"postgresql://ops:{CANARY}@db.example/ops"}
    assert _run(without) == (1, f"{FAIL}invalid_env invalid=OPS_POSTGRES_DSN part=tls")
    assert _run({**without, "OPS_ALLOW_NO_TLS": "1"}) == (0, "prod_config status=ok required=2")
    local = {"OPS_POSTGRES_DSN": "postgresql://localhost/ops", "DAGSTER_POSTGRES_DSN": "postgresql://[::1]/dagster"}
    assert _run(local) == (0, "prod_config status=ok required=2")


def test_quiet_says_nothing_of_what_is_fine_and_all_of_what_is_not() -> None:
    for values, arguments in ((BOTH, ()), ({}, ("--mode=ci",))):
        out = io.StringIO()
        with _environ(values), contextlib.redirect_stdout(out):
            assert main([*arguments, "--quiet"]) == 0
        assert out.getvalue() == ""
    assert _run({}, "--quiet") == (1, f"{FAIL}missing_env missing=DAGSTER_POSTGRES_DSN,OPS_POSTGRES_DSN")


def test_a_configuration_file_that_cannot_work_is_an_invalid_one(tmp_path: Path) -> None:
    path = tmp_path / "ops.toml"
    for content, said in {
        f"[thresholds]\nhold_rate = {CANARY}": "line=2 key=none expected=toml",
        f"[{CANARY}]": "line=1 key=none expected=known_section",
        f"[thresholds]\n{CANARY} = 1": "line=2 key=thresholds expected=known_key",
        "[thresholds]\nhold_rate = 35": "line=2 key=thresholds.hold_rate expected=fraction_or_off",
    }.items():
        path.write_text(content)
        assert _run({**BOTH, "OPS_CONFIG": str(path)}) == (1, f"{FAIL}invalid_config {said}")
    path.write_text("[thresholds]\nhold_rate = 0.35\n")
    assert _run({**BOTH, "OPS_CONFIG": str(path)}) == (0, "prod_config status=ok required=2")


def test_in_ci_nothing_set_is_fine_and_half_of_it_is_not() -> None:
    not_configured = (
        "prod_config status=not_configured reason=prod_not_configured missing=DAGSTER_POSTGRES_DSN,OPS_POSTGRES_DSN"
    )
    assert _run({}, "--mode=ci") == (0, not_configured)
    assert _run({"OPS_POSTGRES_DSN": "", "DAGSTER_POSTGRES_DSN": ""}, "--mode=ci") == (0, not_configured)
    assert _run({"OPS_POSTGRES_DSN": OPS}, "--mode=ci") == (1, f"{FAIL}missing_env missing=DAGSTER_POSTGRES_DSN")


def test_json_gives_the_same_fields_as_an_object() -> None:
    assert json.loads(_run(BOTH, "--json")[1]) == {"line": "prod_config", "status": "ok", "required": 2}
    assert json.loads(_run({}, "--json")[1]) == {
        "line": "prod_config",
        "status": "fail",
        "reason": "missing_env",
        "missing": ["DAGSTER_POSTGRES_DSN", "OPS_POSTGRES_DSN"],
    }


def _words(*kinds: type[StrEnum]) -> str:
    return "|".join(word.value for kind in kinds for word in kind)


def _list(words: str) -> str:
    return rf"(?:{words})(?:,(?:{words}))*"


ANY_LINE = re.compile(
    rf"prod_config status=ok required=2"
    rf"|{FAIL}missing_env missing={_list('|'.join(Name))}"
    rf"|{FAIL}invalid_env invalid={_list('|'.join(Name))} part={_list(_words(EnvPart))}"
    rf"|{FAIL}invalid_config line=(?:none|[0-9]+) key=none expected=(?:{_words(Expected)})"
)
"""Everything that can be printed in the strict mode: a closed list leaves no room for a value."""

settable = st.one_of(
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=30),
    st.binary(max_size=30).map(lambda raw: os.fsdecode(raw.replace(b"\x00", b""))),
)
values = st.one_of(
    st.sampled_from([OPS, DAGSTER]),
    settable,
    settable.map(lambda text: f"postgresql://u:{text}@h/d"),
    settable.map(lambda text: f"postgresql://{text}"),
)


@given(st.dictionaries(st.sampled_from(sorted(Name)), values))
def test_whatever_is_set_only_names_are_printed(environ: dict[str, str]) -> None:
    code, line = _run(environ)
    assert ANY_LINE.fullmatch(line)
    assert code == (0 if "status=ok" in line else 1)


@given(st.lists(st.one_of(settable, st.sampled_from(["--mode", "ci", "--json", "--mode=x"])), min_size=1, max_size=4))
def test_whatever_is_typed_it_is_not_repeated_and_never_exit_2(arguments: list[str]) -> None:
    out, err = io.StringIO(), io.StringIO()
    with _environ(BOTH), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    assert err.getvalue() == ""
    if out.getvalue().startswith("usage: "):
        assert "-h" in arguments or "--help" in arguments
        assert code == 0
        return
    (line,) = out.getvalue().splitlines()
    fields = json.loads(line) if line.startswith("{") else dict(field.split("=") for field in line.split()[1:])
    if fields["status"] == "ok":
        assert code == 0
    else:
        assert code == 1
        assert fields["reason"] == "usage"
        assert fields.get("option", "mode") == "mode"


# Every tool

HEAVY = ("sqlalchemy", "dagster", "psycopg", "psycopg2", "alembic", "duckdb", "pyarrow", "grpc", "pydantic")

_WHAT_IS_LOADED = """
import contextlib, io, json, sys
before = set(sys.modules)
from ops_pipeline.cli import main as cli
runs = []
for arguments in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main(arguments)
    runs.append([int(code), out.getvalue(), err.getvalue()])
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps([runs, sorted(loaded - set(sys.stdlib_module_names))]))
"""


def _runs_and_foreign_modules(runs: list[list[str]], **environ: str) -> tuple[list[tuple[int, str, str]], list[str]]:
    """Run commands in one fresh process: their codes and output, and what was loaded beyond the standard library."""
    ended = subprocess.run(
        [sys.executable, "-c", _WHAT_IS_LOADED, json.dumps(runs)],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.stderr == ""
    done, foreign = json.loads(ended.stdout)
    return [tuple(one) for one in done], foreign


def test_where_names_are_missing_the_tools_of_ci_need_nothing_but_the_standard_library(tmp_path: Path) -> None:
    log = tmp_path / "ops_daily.log"
    log.write_text("ops_daily_watchdog status=insufficient_data reason=delivered_total_0\n")
    done, foreign = _runs_and_foreign_modules(
        [
            ["prod_config_contract"],
            ["prod_config_contract", "--mode=ci", "--json"],
            ["ops_ci_normalize", "--exit-code=2", f"--log-file={log}", "--event=schedule"],
            ["ops_ci_normalize", "--exit-code=2", f"--log-file={tmp_path}", "--event=schedule"],
        ]
    )
    assert [code for code, _, _ in done] == [1, 0, 0, 2]
    assert foreign == ["ops_pipeline"]


def test_where_there_is_a_dsn_to_look_at_libpqs_parser_and_pydantic_are_loaded_and_no_database_library(
    tmp_path: Path,
) -> None:
    config = tmp_path / "ops.toml"
    config.write_text("[thresholds]\nhold_rate = 0.4\n")
    done, foreign = _runs_and_foreign_modules([["prod_config_contract"]], **BOTH, OPS_CONFIG=str(config))
    assert [code for code, _, _ in done] == [0]
    assert {"psycopg", "pydantic"} <= set(foreign)
    assert not {"sqlalchemy", "alembic", "dagster", "numpy", "duckdb"} & set(foreign)


COMMANDS = {name: command for tool in TOOLS for name, command in commands(tool).items()}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_tool_is_alike(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    command = COMMANDS[name]
    assert command.main(["--help"]) == 0
    text, err = capfd.readouterr()
    assert err == ""
    assert all(option in text for option in ("--json", "--quiet", "--format {line,json"))
    assert ("nagios" in text) is (command.nagios_failure is not None)
    assert re.search(r"^lines.*:$", text, flags=re.MULTILINE)
    assert re.search(r"^exit codes:\n  0  ", text, flags=re.MULTILINE)
    assert re.search(
        rf"^(examples?|then):\n.*ops-pipeline {name.split(maxsplit=1)[0] if name != 'demo' else 'ui'}",
        text,
        flags=re.MULTILINE | re.DOTALL,
    )
    assert max(map(len, text.splitlines())) <= 120


def test_what_is_said_to_be_a_tool_is_one_and_each_of_its_commands_has_a_name_of_its_own() -> None:
    assert {name.split(" ")[0] for name in COMMANDS} == set(TOOLS)
    assert {"events import", "events sample"} <= set(COMMANDS)
    assert all(name == command.name for name, command in COMMANDS.items())
    assert len({command.line for command in COMMANDS.values()}) == len(COMMANDS)


def _required(command: Command) -> list[str]:
    """Return arguments for everything that the command cannot do without."""
    arguments = []
    for action in command.parser()._actions:
        if action.required:
            arguments += [*action.option_strings[-1:], str(next(iter(action.choices or ()), "0"))]
    for group in command.parser()._mutually_exclusive_groups:
        if group.required:
            arguments += [*group._group_actions[0].option_strings[-1:], "0"]
    return arguments


@pytest.mark.parametrize("name", COMMANDS)
def test_every_tool_takes_the_same_forms_of_output(name: str) -> None:
    command = COMMANDS[name]
    required = _required(command)
    for arguments, form, is_quiet in (
        ([], "line", False),
        (["--json"], "json", False),
        (["--format=json"], "json", False),
        (["--format", "json"], "json", False),
        (["--format=line"], "line", False),
        (["--quiet"], "line", True),
        (["--json", "--quiet"], "json", True),
        (["--quiet", "--format=json"], "json", True),
        # The last one counts.
        (["--json", "--format=line"], "line", False),
        (["--format=line", "--json"], "json", False),
    ):
        for order in ([*arguments, *required], [*required, *arguments]):
            found = command.parser().parse(order)
            assert (found.format, found.quiet) == (form, is_quiet), order


@pytest.mark.parametrize("name", COMMANDS)
def test_the_form_of_monitoring_systems_is_there_only_where_a_failure_means_something_to_them(name: str) -> None:
    command = COMMANDS[name]
    arguments = [*_required(command), "--format=nagios"]
    if command.nagios_failure is not None:
        assert command.parser().parse(arguments).format == "nagios"
        return
    with pytest.raises(OpsError) as caught:
        command.parser().parse(arguments)
    assert (caught.value.reason, caught.value.fields) == (Reason.USAGE, {"option": "format"})


def _output(run: Callable[[], int]) -> tuple[int, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run()
    assert err.getvalue() == ""
    return code, out.getvalue()


WRONG = (
    [f"--{CANARY}"],
    [f"--{CANARY}={CANARY}"],
    [f"-{CANARY}"],
    ["--quiet", f"--{CANARY}"],
    [f"--format={CANARY}"],
    ["--format", CANARY],
    ["--format"],
    ["--format="],
    ["--format=LINE"],
    [f"--json={CANARY}"],
    [f"--quiet={CANARY}"],
    # No abbreviations: what is short for one option today is short for two tomorrow.
    ["--form=json"],
    ["--js"],
    ["--qui"],
    ["--nagios"],
    ["--Json"],
    ["--data-dir"],
    ["--timeout", CANARY],
    [f"--\x1b[31m{CANARY}\nops_daily_watchdog"],
    [f"--\u202e{CANARY}"],
)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_command_line_is_one_line_and_exit_1_and_is_not_repeated(name: str) -> None:
    command = COMMANDS[name]
    for wrong in WRONG:
        # With all that is required, so that nothing else is wrong.
        for arguments in ([*_required(command), *wrong], [*wrong, *_required(command), f"--{CANARY}"]):
            code, text = _output(lambda arguments=arguments: command.main(arguments))  # type: ignore[misc]
            (line,) = text.splitlines()
            if "--nagios" in arguments and command.nagios_failure is not None:
                assert code == NagiosState.UNKNOWN, arguments
                assert line.startswith(f"{command.line.upper()} UNKNOWN - status=fail reason=usage"), arguments
            else:
                assert code == 1, arguments
                assert re.fullmatch(rf"{command.line}\w* status=fail reason=usage( option=[a-z_]+)?", line), arguments
            assert CANARY not in text, arguments
            assert text.isascii(), arguments
            assert "\x1b" not in text, arguments


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_command_line_is_answered_in_the_form_that_was_asked_for(name: str) -> None:
    command = COMMANDS[name]
    for asked in (["--json"], ["--format=json"], ["--quiet", "--json"]):
        code, text = _output(lambda asked=asked: command.main([*asked, f"--{CANARY}"]))  # type: ignore[misc]
        assert code == 1
        (line,) = text.splitlines()
        found = json.loads(line)
        assert (found["line"], found["status"], found["reason"]) == (command.line, "fail", "usage")
        assert CANARY not in text
    code, text = _output(lambda: command.main(["--format=nagios", f"--{CANARY}"]))
    assert CANARY not in text
    assert len(text.splitlines()) == 1
    if command.nagios_failure is None:
        assert code == 1
        assert text.startswith(f"{command.line} status=fail reason=usage")
    else:
        # 1 and 2 would read as a warning and as unhealthy.
        assert code == 3
        assert text == f"{command.line.upper()} UNKNOWN - status=fail reason=usage\n"


@pytest.mark.parametrize("name", COMMANDS)
@given(typed=st.lists(st.one_of(settable, st.sampled_from(["--json", "--quiet", "0", "-1", "=", ""])), max_size=4))
def test_whatever_is_typed_beside_an_option_that_there_is_not_is_not_repeated(name: str, typed: list[str]) -> None:
    # What stands behind -- is no option any more, and help is no mistake.
    typed = [text for text in typed if text != "--" and not text.startswith(("-h", "--help"))]
    command = COMMANDS[name]
    code, text = _output(lambda: command.main([f"--{CANARY}", *(f"{CANARY}{one}" for one in typed), *typed]))
    assert code == 1
    (line,) = text.splitlines()
    assert CANARY not in line
    if "--json" in typed:
        line = " ".join(f"{key}={value}" for key, value in json.loads(line).items())
        assert re.fullmatch(rf"line={command.line} status=fail reason=usage( option=([a-z_]+|None))?", line)
    else:
        assert re.fullmatch(rf"{command.line} status=fail reason=usage( option=([a-z_]+|none))?", line)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_exit_0_in_every_form_and_whatever_else_is_missing(name: str) -> None:
    for arguments in (["--help"], ["-h"], ["--json", "--help"], ["--quiet", "--help"], ["--format=json", "-h"]):
        code, text = _output(lambda arguments=arguments: COMMANDS[name].main(arguments))  # type: ignore[misc]
        assert code == 0
        assert text.startswith(f"usage: ops-pipeline {name} ")


@pytest.mark.parametrize("arguments", [[CANARY], [f"--{CANARY}"], ["imports"], ["IMPORT"], [""]])
def test_events_knows_its_two_commands_and_repeats_no_other(arguments: list[str]) -> None:
    assert _output(lambda: events.main(arguments)) == (1, "events_import status=fail reason=usage\n")


def test_for_a_monitoring_system_there_are_five() -> None:
    assert [name for name, command in COMMANDS.items() if command.nagios_failure is not None] == [
        "db_verify",
        "ops_daily",
        "alerts",
        "doctor",
    ]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_and_usage_errors_load_nothing_heavy_and_a_usage_error_is_one_line_and_exit_1(command: str) -> None:
    done, foreign = _runs_and_foreign_modules(
        [
            [*command.split(), *arguments]
            for arguments in (["--help"], [f"--{CANARY}"], [f"--{CANARY}", "--json"], [f"--json={CANARY}"])
        ]
    )
    assert not set(foreign) & set(HEAVY)
    (help_code, help_text, help_err), *usage_errors = done
    assert (help_code, help_err) == (0, "")
    assert help_text.startswith("usage: ops-pipeline ")
    for code, out, err in usage_errors:
        assert (code, err) == (1, "")
        (line,) = out.splitlines()
        assert CANARY not in line
        if line.startswith("{"):
            fields = json.loads(line)
            assert (fields["status"], fields["reason"]) == ("fail", "usage")
        else:
            assert " status=fail " in line
            assert " reason=usage" in line


def test_the_console_script_says_what_tools_there_are_and_refuses_what_is_none() -> None:
    done, foreign = _runs_and_foreign_modules(
        [[], ["--help"], [CANARY], ["--version"], ["OPS_DAILY"], ["cli"], ["--reason=usage"], ["--reason=" + CANARY]]
    )
    (nothing, asked, unknown, version, shouted, itself, explained, unexplained) = done
    assert nothing == asked
    assert asked[0] == 0
    assert all(f"\n  {tool} " in asked[1] for tool in TOOLS)
    assert explained == (0, f"usage: {Reason.USAGE.means}\nNext: {Reason.USAGE.next_step}\n", "")
    assert unknown == shouted == itself == unexplained == (1, "ops_pipeline status=fail reason=usage\n", "")
    assert version[0] == 0
    assert version[1].startswith("ops-pipeline ")
    assert foreign == ["ops_pipeline"]
