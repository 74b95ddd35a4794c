"""What is documented is what can happen: generated pages are current, links lead somewhere, numbers are true."""

from __future__ import annotations

import ast
import json
import re
import runpy
import tomllib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from math import comb
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from ops_pipeline.cli.catalogue import commands
from ops_pipeline.contract.config import (
    HISTORY_DAYS,
    SECTIONS,
    Config,
    Links,
    Retention,
    Service,
    Thresholds,
    parse_config,
)
from ops_pipeline.health import DayCounts, SignalName, Status, evaluate
from ops_pipeline.health.baseline import BASELINE_DAYS, GAP_DAYS, MIN_DAYS, REACH_DAYS
from ops_pipeline.health.rates import alpha
from ops_pipeline.health.verdict import WORST_FIRST
from ops_pipeline.health.watchdog import FOLLOWED_DAYS
from ops_pipeline.health.wilson import lower_bound, upper_bound, visible_above, visible_below
from ops_pipeline.store.partitions import PARTITIONS_AHEAD_DAYS

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
GENERATOR = DOCS / "generate_reference.py"
WATCHDOG = DOCS / "explanation" / "watchdog.md"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
FOR_CONTRIBUTORS = [ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "CHANGELOG.md"]

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
_CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]+`", flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def generator() -> dict[str, Any]:
    return runpy.run_path(str(GENERATOR))


# Generated pages


def test_the_committed_reference_is_what_the_code_says(generator: dict[str, Any]) -> None:
    pages = generator["pages"]()
    reference = {path.relative_to(DOCS).as_posix() for path in (DOCS / "reference").iterdir()}
    assert set(pages) == {*reference, "operator_runbook.md"}
    for page, text in pages.items():
        assert (DOCS / page).read_text(encoding="utf-8") == text, "run docs/generate_reference.py"


def test_a_page_that_was_edited_or_is_missing_is_found(generator: dict[str, Any], tmp_path: Path) -> None:
    assert generator["differing"](tmp_path) == [
        "reference/lines.md",
        "reference/configuration.md",
        "reference/tables.md",
        "reference/assets.md",
        "reference/configuration.schema.json",
        "reference/snapshot.schema.json",
        "operator_runbook.md",
    ]
    generator["write"](tmp_path)
    assert generator["differing"](tmp_path) == []
    page = tmp_path / "reference" / "lines.md"
    page.write_text(page.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert generator["differing"](tmp_path) == ["reference/lines.md"]


def test_the_generator_checks_from_any_folder_and_refuses_what_it_does_not_know(
    generator: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert generator["main"](["--check"]) == 0
    assert capsys.readouterr() == ("", "")
    assert generator["main"](["--chekc"]) == 1
    assert capsys.readouterr() == ("usage: python docs/generate_reference.py [--check]\n", "")


def test_the_documented_example_files_have_every_key_and_can_be_used() -> None:
    page = (DOCS / "reference" / "configuration.md").read_text(encoding="utf-8")
    every, special = map(tomllib.loads, re.findall(r"^```toml\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL))
    for section, cls in SECTIONS.items():
        documented = {*every.get(section, {}), *special.get(section, {})}
        assert documented | {"first"} == {*cls.model_fields, "first"}
    retention = Retention(events_days=730, counts_days=730)
    assert parse_config(every) == Config(
        thresholds=Thresholds(failure_rate=0.05),
        retention=retention,
        service=Service(name="mailer"),
        links=Links(runbook="https://example.org/operator_runbook", report="https://example.org/report/index.html"),
    )
    assert parse_config(special).taxonomy.segments == ("email", "sms")
    found = parse_config(special).thresholds
    assert found.limit("second", "hold_rate") == 0.5
    assert found.limit("second", "positive_rate") is None
    assert (len(found.planned), len(found.accepted)) == (1, 1)


def test_the_example_files_are_what_the_schema_says_and_a_mistake_is_not() -> None:
    schema = json.loads((DOCS / "reference" / "configuration.schema.json").read_text(encoding="utf-8"))
    page = (DOCS / "reference" / "configuration.md").read_text(encoding="utf-8")
    for example in re.findall(r"^```toml\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL):
        # JSON has no days: what stands for one is its text.
        jsonschema.validate(json.loads(json.dumps(tomllib.loads(example), default=str)), schema)
    for mistake in ({"thresholds": {"hold_rate": 35}}, {"taxonomy": {"held": "disabled"}}, {"tresholds": {}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(mistake, schema)


def _failure_fields() -> Iterator[str]:
    for path in (ROOT / "ops_pipeline").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "OpsError":
                yield from (keyword.arg for keyword in node.keywords if keyword.arg)


def test_every_field_that_a_failure_can_bring_is_explained(generator: dict[str, Any]) -> None:
    assert set(generator["FAILURE_KEYS"]) == {"mode", "step", *_failure_fields()}


# Commands

_OURS = re.compile(r"(?:ops-pipeline |python3? (?:-P )?-m ops_pipeline\.tools\.)([a-z_]+(?: [^|;#>]*)?)")
_OF_THE_USER = {"home", "set"}
"""Words that follow the name of the system's user, who is called as the program is."""
_FILLED = {r"(\b[A-Z]+_)?\bDAY\b|<\w*day>": "2026-11-07", "REVISION": "0003", r"\$\?": "2", r'"\$RESULT"': "failure"}


def _code(tokens: Sequence[Token]) -> Iterator[str]:
    """Yield what stands as code on a page: each line of a block, and what is written within a sentence."""
    for token in tokens:
        if token.type in ("fence", "code_block"):
            yield from token.content.splitlines()
        elif token.type == "code_inline":
            yield token.content
        yield from _code(token.children or [])


def _commands_on(page: Path) -> Iterator[list[str]]:
    for line in _code(MarkdownIt().parse(page.read_text(encoding="utf-8"))):
        for pattern, filled in _FILLED.items():
            line = re.sub(pattern, filled, line)  # noqa: PLW2901 - one after the other
        for command in _OURS.findall(line):
            # What two spaces set apart is said of the command.
            words = command.partition("  ")[0].split()
            if words[0] not in _OF_THE_USER:
                yield words


def _name(words: Sequence[str]) -> str:
    tool, *rest = words
    return tool if tool in commands(tool) else f"{tool} {rest[0]}"


@pytest.mark.parametrize("page", [*PAGES, *FOR_CONTRIBUTORS], ids=lambda page: page.stem)
def test_every_command_that_is_named_can_be_typed(page: Path) -> None:
    for words in _commands_on(page):
        name = _name(words)
        commands(words[0])[name].parser().parse(words[len(name.split()) :])


def test_the_commands_of_a_page_are_found_wherever_they_stand(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Say `ops-pipeline\ndb_verify --timeout=10`, or\n\n    ops-pipeline retention --apply     # let it go\n\n"
        "1. and\n\n   ```console\n   $ python -m ops_pipeline.tools.events import a.csv > log\n   ```\n"
    )
    assert [" ".join(words) for words in _commands_on(page)] == [
        "db_verify --timeout=10",
        "retention --apply",
        "events import a.csv",
    ]


# Links


def _prose(page: Path) -> str:
    return _CODE.sub("", page.read_text(encoding="utf-8"))


def _anchors(page: Path) -> set[str]:
    """The fragments that headings of a page have where Markdown is shown on GitHub."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#{1,6} +(.+?)\s*$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, *FOR_CONTRIBUTORS], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in _LINK.findall(_prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.is_relative_to(ROOT), target
        assert found.exists(), target
        if fragment:
            assert fragment in _anchors(found), target


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        targets = (target.partition("#")[0] for target in _LINK.findall(_prose(page)))
        waiting += [(page.parent / target).resolve() for target in targets if target and ":" not in target]
    assert set(PAGES) <= reached


# The numbers of the page that explains the watchdog

_DAY = date(2026, 11, 7)
_CONFIDENCE, _POWER = Thresholds().confidence, Thresholds().power


def _counts(name: SignalName, x: int, n: int) -> dict[tuple[str, str, str | None], int]:
    match name:
        case SignalName.HOLD_RATE:
            return {("first", "attempted", None): n, ("first", "held", "disabled"): x}
        case SignalName.SUPPRESSION_RATE:
            return {("first", "offered", None): n - x, ("first", "suppressed", "unknown"): x}
        case SignalName.FAILURE_RATE:
            return {("first", "delivered", None): n - x, ("first", "failed", "blocked"): x}
        case _:
            return {("first", "delivered", None): n, ("first", "acknowledged", "positive"): x}


def _status(name: SignalName, x: int, n: int, thresholds: Thresholds | None = None) -> Status:
    verdict = evaluate([DayCounts(_DAY, _counts(name, x, n))], _DAY, thresholds or Thresholds())
    (signal,) = [one for one in verdict.signals if one.name is name and one.touch == "first"]
    return signal.status


def _first(is_it: Callable[[int], bool], *, start: int = 1, most: int = 1000) -> int:
    """Return the first number up to `most` of which it is true; it stays true of all that follow."""
    return start + bisect_left(range(start, most), True, key=is_it)


def _assert_documented(*rows: str) -> None:
    documented = WATCHDOG.read_text(encoding="utf-8").splitlines()
    assert [row for row in rows if row not in documented] == []


def _visible(limit: float, n: int, *, low: bool) -> float:
    found = (visible_below if low else visible_above)(limit, n, _CONFIDENCE, _POWER)
    return float(found)


def test_the_documented_number_of_events_that_each_limit_needs_is_the_one_that_the_code_needs() -> None:
    hold, suppression, positive = SignalName.HOLD_RATE, SignalName.SUPPRESSION_RATE, SignalName.POSITIVE_RATE
    held, suppressed, delivered = (
        _first(lambda n, name=name, x=x: _status(name, x * n, n) is Status.HEALTHY)  # type: ignore[misc]
        for name, x in ((hold, 0), (suppression, 0), (positive, 1))
    )
    all_held, all_suppressed, none_positive = (
        _first(lambda n, name=name, x=x: _status(name, x * n, n) is Status.UNHEALTHY)  # type: ignore[misc]
        for name, x in ((hold, 1), (suppression, 1), (positive, 0))
    )
    _assert_documented(
        f"| `hold_rate` | 0.35 | {held} attempts | {_visible(0.35, held, low=False):.4f} |"
        f" {all_held} of {all_held} held |",
        f"| `suppression_rate` | 0.60 | {suppressed} offers | {_visible(0.60, suppressed, low=False):.4f} |"
        f" {all_suppressed} of {all_suppressed} suppressed |",
        f"| `positive_rate` | 0.20 | {delivered} deliveries | {_visible(0.20, delivered, low=True):.4f} |"
        f" 0 positive of {none_positive} |",
    )


def test_the_documented_counts_that_are_unhealthy_are_those_of_the_code() -> None:
    for n in (100, 500, 1000, 5000, 20_000):
        cells = [f"{n:,}"]
        for limit in (0.35, 0.60):
            cells += [f"{_first(lambda x, n=n, limit=limit: lower_bound(x, n, _CONFIDENCE) > limit, most=n):,}"]  # type: ignore[misc]
            cells += [f"{_visible(limit, n, low=False):.3f}"]
        most = _first(lambda x, n=n: upper_bound(x, n, _CONFIDENCE) >= 0.20, start=0, most=n) - 1  # type: ignore[misc]
        cells += [f"{most:,}", f"{_visible(0.20, n, low=True):.3f}"]
        _assert_documented(f"| {' | '.join(cells)} |")


def test_the_documented_chances_of_a_false_alarm_are_the_exact_ones() -> None:
    def chance(name: SignalName, n: int, rate: float) -> float:
        # One bad event more never makes it healthy, so that one count divides the healthy from the unhealthy.
        is_low = name is SignalName.POSITIVE_RATE
        first = _first(lambda x: (_status(name, x, n) is Status.UNHEALTHY) is not is_low, start=0, most=n)
        unhealthy = range(first) if is_low else range(first, n + 1)
        return sum(comb(n, x) * rate**x * (1 - rate) ** (n - x) for x in unhealthy)

    hold, suppression, positive = SignalName.HOLD_RATE, SignalName.SUPPRESSION_RATE, SignalName.POSITIVE_RATE
    assert chance(suppression, 1000, 0.54) < 1e-8
    _assert_documented(
        f"| hold_rate 0.35 | 100 | {chance(hold, 100, 0.35):.5f} | {chance(hold, 100, 0.315):.5f} |",
        f"| hold_rate 0.35 | 1,000 | {chance(hold, 1000, 0.35):.5f} | {chance(hold, 1000, 0.315):.8f} |",
        f"| suppression_rate 0.60 | 1,000 | {chance(suppression, 1000, 0.60):.5f} | below 0.00000001 |",
        f"| positive_rate 0.20 | 1,000 | {chance(positive, 1000, 0.20):.5f} | {chance(positive, 1000, 0.22):.7f} |",
    )


def test_the_documented_examples_by_hand_are_what_the_code_gives() -> None:
    text = " ".join(WATCHDOG.read_text(encoding="utf-8").split())
    assert (_status(SignalName.HOLD_RATE, 169, 400), _status(SignalName.HOLD_RATE, 170, 400)) == (
        Status.HEALTHY,
        Status.UNHEALTHY,
    )
    assert f"= {lower_bound(170, 400, _CONFIDENCE):.6f}" in text
    assert f"With 169 held the bound is {lower_bound(169, 400, _CONFIDENCE):.6f}" in text
    visible = _visible(0.35, 100, low=False)
    assert f"a visible rate of {visible:.4f}, `min_detectable={visible / 0.35:.4f}`" in text


def test_the_documented_constants_and_priorities_are_those_of_the_code() -> None:
    for page in (DOCS / "operator_runbook.md", DOCS / "how-to" / "connect-your-database.md"):
        assert f"next {PARTITIONS_AHEAD_DAYS} days" in " ".join(page.read_text(encoding="utf-8").split())
    text = " ".join(WATCHDOG.read_text(encoding="utf-8").split())
    assert f"= {alpha(Thresholds()):.7f}" in text
    assert ", ".join(f"`{reason}`" for reason in WORST_FIRST) in text
    assert (
        f"at most {HISTORY_DAYS} days before the end of the day: days are judged in blocks of {FOLLOWED_DAYS}" in text
    )
    assert HISTORY_DAYS == 3 * FOLLOWED_DAYS
    assert f"The baseline of a day are the last {BASELINE_DAYS} days with events" in text
    assert f"that lie at least {GAP_DAYS} days before it" in text
    assert f"reaches back up to {REACH_DAYS} days. With fewer than {MIN_DAYS} days" in text
