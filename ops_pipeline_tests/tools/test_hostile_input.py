"""Whatever is typed, configured or written into files: what comes out is lines of the grammar, and nothing of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ops_pipeline.cli import main as cli
from ops_pipeline.contract.environment import Name
from ops_pipeline.events.intake import FORMATS

CANARY = "zq7canary"
HOSTILE = st.one_of(
    st.sampled_from(
        [
            f"postgresql://{CANARY}:{CANARY}@{CANARY}:5432/{CANARY}",
            f"postgresql://{CANARY}@[{CANARY}]:x/%zz",
            f"{CANARY}@example.org",
            "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            f"ghp_{CANARY * 4}",
            f"{CANARY}\nops_daily_watchdog status=healthy",
            f"\x1b[31m{CANARY}\x1b[0m",
            f"\u202e{CANARY}\u2066",
            f"-{CANARY}",
            f"--format={CANARY}",
            f"../../{CANARY}",
            f"%({CANARY})s {{{CANARY}}} ${{{CANARY}}}",
            CANARY,
        ]
    ),
    # A process cannot be given a NUL, nor what UTF-8 cannot write.
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40).map(
        lambda text: CANARY + text
    ),
)
VALUE = r"(?:[a-z0-9_.+:-]+|[A-Z][A-Z0-9_]*)"
LINE = re.compile(rf"[a-z][a-z0-9_]*(?: [a-z][a-z0-9_]*={VALUE}(?:,{VALUE})*)*")

ARGUMENTS = [
    [],
    ["prod_config_contract"],
    ["prod_config_contract", "--mode"],
    ["db_bootstrap"],
    ["db_bootstrap", "downgrade", "--to"],
    ["db_verify", "--timeout"],
    ["ops_daily", "--mode=prod", "--as-of"],
    ["ops_daily", "--mode"],
    ["watchdog_explain", "--as-of"],
    ["watchdog_replay", "--from"],
    ["watchdog_replay", "--config"],
    ["report", "--out"],
    ["report", "--out=report.html", "--days"],
    ["prod_verify", "--mode"],
    ["doctor"],
    ["events"],
    ["events", "import", "--unique-by"],
    ["events", "import", "--max-rejected"],
    ["events", "sample"],
    ["ops_ci_normalize", "--exit-code"],
    ["ops_ci_normalize", "--exit-code=2", "--event=schedule", "--log-file"],
    ["ops_ci_normalize", "--exit-code=2", "--event"],
    ["demo"],
    ["ui", "--port"],
    ["secret_echo_guard"],
]

_fixtures = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)


def _assert_lines(capfd: pytest.CaptureFixture[str], code: int) -> None:
    printed = capfd.readouterr()
    assert printed.err == ""
    assert code in (0, 1, 2)
    assert printed.out.endswith("\n")
    for line in printed.out.removesuffix("\n").split("\n"):
        assert LINE.fullmatch(line), line
        assert CANARY not in line


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=lambda arguments: " ".join(arguments) or "no tool")
@_fixtures
@given(HOSTILE)
def test_of_what_is_typed_nothing_is_printed(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], text: str
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(tmp_path)
        _assert_lines(capfd, cli.main([*arguments, text]))


@pytest.mark.parametrize("name", [*Name, "GITHUB_EVENT_NAME"])
@_fixtures
@given(HOSTILE)
def test_of_what_is_configured_nothing_is_printed(capfd: pytest.CaptureFixture[str], name: str, text: str) -> None:
    local = "postgresql://ops@/ops?host=/no/such/folder"
    with pytest.MonkeyPatch.context() as monkeypatch:
        for required in (Name.OPS_POSTGRES_DSN, Name.DAGSTER_POSTGRES_DSN):
            monkeypatch.setenv(required, local)
        monkeypatch.setenv(name, text)
        _assert_lines(capfd, cli.main(["prod_config_contract"]))
        _assert_lines(capfd, cli.main(["ops_ci_normalize", "--exit-code=2", "--log-file=/no/such/file"]))


@_fixtures
@given(st.lists(HOSTILE, max_size=5), st.sampled_from([*FORMATS, ".toml", ".log"]))
def test_of_what_stands_in_a_file_nothing_is_printed(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, texts: list[str], kind: str
) -> None:
    path = tmp_path / f"{CANARY}{kind}"
    path.write_text("\n".join(texts), encoding="utf-8")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv(Name.OPS_POSTGRES_DSN, "postgresql://ops@/ops?host=/no/such/folder")
        if kind == ".toml":
            monkeypatch.setenv(Name.OPS_CONFIG, str(path))
            command = ["prod_config_contract"]
        elif kind == ".log":
            command = ["ops_ci_normalize", "--exit-code=2", "--event=schedule", f"--log-file={path}"]
        else:
            command = ["events", "import", str(path)]
        _assert_lines(capfd, cli.main(command))
