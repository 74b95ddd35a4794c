"""`report`: one page that can be mailed or published, and the asset of that name."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
from markupsafe import Markup
from sqlalchemy import insert, text

from ops_pipeline.contract.config import HISTORY_DAYS, Planned, Taxonomy, Thresholds
from ops_pipeline.contract.days import last_complete_day
from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label
from ops_pipeline.contract.vocabulary import Outcome, Reserved, Scope, SignalName, Status, Touch
from ops_pipeline.definitions import definitions
from ops_pipeline.health import evaluate_range
from ops_pipeline.health.metrics import compute_metrics
from ops_pipeline.orchestration.instance import configured_instance
from ops_pipeline.report import report_page, signal_series
from ops_pipeline.report.page import rendered
from ops_pipeline.store import results
from ops_pipeline.store.daily_counts import read_days
from ops_pipeline.store.embedded import EmbeddedServer
from ops_pipeline.store.engine import reading, writing
from ops_pipeline.store.schema import daily_counts, delivered_segments
from ops_pipeline.tools import ops_daily
from ops_pipeline.tools.report import main
from ops_pipeline_tests.conftest import Database, Lines
from ops_pipeline_tests.traffic import healthy_traffic, send

DAY = last_complete_day()
TEMPLATES = Path(__file__).resolve().parents[2] / "ops_pipeline" / "report" / "templates"
WINDOWS = (7, 30)
_WITH_FIGURES = 12
"""Newest days that have figures: a page shows those of one day, and takes the others from counts and verdicts."""
USUAL = {
    ("offered", None): 300,
    ("suppressed", "unknown"): 40,
    ("attempted", None): 300,
    ("held", "rate_limited"): 15,
    ("queued", None): 285,
    ("delivered", None): 280,
    ("failed", "blocked"): 5,
    ("acknowledged", "positive"): 130,
}
HELD = USUAL | {("held", "rate_limited"): 75, ("queued", None): 225, ("delivered", None): 220}
SECOND = {
    ("offered", None): 20,
    ("suppressed", "cooldown_active"): 5,
    ("attempted", None): 20,
    ("held", "risk_level_2"): 2,
    ("queued", None): 18,
    ("delivered", None): 17,
    ("failed", "blocked"): 1,
    ("acknowledged", "positive"): 8,
    ("acknowledged", "neutral"): 2,
    ("disabled", "negative_ack"): 1,
}
APART = {"td", "th", "span", "title", "text"}
"""Elements that stand apart from what comes before them."""
VOID = {"meta", "br", "hr", "img", "input", "link", "path", "circle", "line", "rect"}


@dataclass
class Element:
    """An element of a page, with all text in it."""

    tag: str
    attributes: dict[str, str]
    parent: Element | None = None
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def walk(self) -> Iterator[Element]:
        """Yield the element and all below it, in the order of the page."""
        yield self
        for child in self.children:
            yield from child.walk()

    def all(self, *tags: str) -> list[Element]:
        """Return the elements of these tags."""
        return [one for one in self.walk() if one.tag in tags]

    @property
    def words(self) -> str:
        """All text in it, on one line."""
        return " ".join("".join(" " if one.tag in APART else one.text for one in self.walk()).split())

    @property
    def above(self) -> Iterator[Element]:
        """The elements that it stands in."""
        one = self.parent
        while one is not None:
            yield one
            one = one.parent


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = self.here = Element("", {})

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        one = Element(tag, {name: value or "" for name, value in attrs}, self.here)
        self.here.children.append(one)
        if tag not in VOID:
            self.here = one

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.here.tag == tag, "what is opened is closed"
            self.here = self.here.parent or self.page

    def handle_data(self, data: str) -> None:
        # Kept in its place among the children.
        self.here.children.append(Element("#text", {}, self.here, text=data))


def _parsed(path: Path) -> Element:
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader.page


def _judge(database: Database, days: list[date], *, thresholds: Thresholds | None = None) -> None:
    """Store figures and verdicts of these days, as the daily job does."""
    with writing(database.engine) as connection:
        counts = read_days(connection, days[0] - timedelta(days=HISTORY_DAYS - 1), days[-1])
        for day in days[-_WITH_FIGURES:]:
            results.write_metrics(connection, compute_metrics(counts, day, WINDOWS))
        for verdict in evaluate_range(counts, days[0], days[-1], thresholds or Thresholds()):
            if verdict.as_of in days:
                results.write_verdict(connection, verdict)


def _history(
    database: Database,
    days: int = 90,
    *,
    bad: tuple[int, ...] = (),
    not_judged: tuple[int, ...] = (),
    never_counted: tuple[int, ...] = (),
    thresholds: Thresholds | None = None,
) -> None:
    """Store the counts and verdicts of so many days; the others are named by how many days ago they were."""
    rows = [
        {"utc_day": DAY - timedelta(days=ago), "touch": touch, "outcome": outcome, "reason": reason, "events": events}
        for ago in range(days)
        if ago not in never_counted
        for touch, counts in (("first", HELD if ago in bad else USUAL), ("second", SECOND))
        for (outcome, reason), events in counts.items()
    ]
    with writing(database.engine) as connection:
        connection.execute(insert(daily_counts), rows)
    judged = [DAY - timedelta(days=ago) for ago in reversed(range(days)) if ago not in (*not_judged, *never_counted)]
    _judge(database, judged, thresholds=thresholds)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "report.html"


@pytest.fixture
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the charts out, which take seconds to draw: a test that reads the words of a page needs none."""
    for chart in ("rate_chart", "deliveries_chart"):
        monkeypatch.setattr(signal_series, chart, lambda *_, **__: Markup("<svg></svg>"))
    for chart in ("funnel_chart", "reasons_chart"):
        monkeypatch.setattr(report_page, chart, lambda *_, **__: Markup("<svg></svg>"))


def _report(out: Path, *arguments: str) -> Element:
    assert main([f"--out={out}", *arguments]) == 0
    return _parsed(out)


@dataclass(frozen=True)
class Written:
    """A page that was written, and the line that the tool said of it."""

    path: Path
    line: str
    page: Element


@pytest.fixture(scope="module")
def unhealthy(
    server: EmbeddedServer, in_production: Label, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Written]:
    """The page of ninety days, the last three unhealthy, written once for all tests that only look at it."""
    name = Label("unhealthy_page")
    server.create_database(name, in_production)
    database = Database(server.dsn(name), server.engine(name))
    _history(database, bad=(0, 1, 2))
    path = tmp_path_factory.mktemp("unhealthy") / "report.html"
    with pytest.MonkeyPatch.context() as monkeypatch, contextlib.redirect_stdout(io.StringIO()) as said:
        for variable in Name:
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setenv("OPS_POSTGRES_DSN", database.dsn)
        page = _report(path)
    yield Written(path, said.getvalue(), page)
    server.drop_database(name, even_in_use=True)


# What it says


def test_the_first_lines_say_the_status_since_when_and_what_to_do(unhealthy: Written) -> None:
    page = unhealthy.page
    assert unhealthy.line.startswith(
        f"report status=ok as_of={DAY} first_day={DAY - timedelta(days=89)} days=90 judged=90 bytes="
    )
    (header,) = page.all("header")
    assert header.all("h1")[0].words == f"Delivery health on {DAY} unhealthy"
    assert f"since {DAY - timedelta(days=2)} (3 days)" in header.words
    assert "hold_rate_high: first touch, 0.2" in header.words
    assert Reason.HOLD_RATE_HIGH.next_step in header.words
    assert page.all("title")[0].words == f"Delivery health, {DAY}: unhealthy"


@pytest.mark.usefixtures("_undrawn")
def test_a_healthy_day_says_since_when_and_that_an_episode_is_not_over_yet(prod: Database, out: Path) -> None:
    _history(prod, bad=(2, 10))
    header = _report(out, "--days=20").all("header")[0].words
    assert f"since {DAY - timedelta(days=1)} (2 days)" in header
    assert f"the episode that began on {DAY - timedelta(days=2)} is over" in header
    header = _report(out, f"--as-of={DAY - timedelta(days=9)}", "--days=20").all("header")[0].words
    assert "since this day; the episode" in header
    assert "ends with the second healthy day in a row" in header
    header = _report(out, f"--as-of={DAY - timedelta(days=11)}", "--days=5").all("header")[0].words
    assert f"since {DAY - timedelta(days=15)} or before" in header


def test_an_empty_database_gives_a_page_that_says_so(prod: Database, lines: Lines, out: Path) -> None:
    page = _report(out)
    assert " judged=0 " in lines()[0]
    assert page.all("h1")[0].words == f"Delivery health on {DAY} not judged"
    assert f"ops-pipeline ops_daily --as-of={DAY}" in page.words
    assert "The second touch has no events in these days." in page.words
    assert f"Never counted: {DAY - timedelta(days=89)} to {DAY}" in page.words
    assert "There are none: the day was not judged." in page.words


def test_too_little_data_reads_as_that_and_a_single_day_has_its_page(prod: Database, out: Path) -> None:
    _judge(prod, [DAY])
    page = _report(out, "--days=1")
    assert page.all("h1")[0].words.endswith("insufficient data")
    assert Reason.DELIVERED_TOTAL_0.means in page.words
    _history(prod, days=1)
    assert len(_report(out, "--days=1").all("figure")) == 12


@pytest.mark.usefixtures("_undrawn")
def test_what_was_not_judged_not_counted_or_is_old_is_said(prod: Database, out: Path) -> None:
    _history(prod, days=40, not_judged=(0, 1, 20), never_counted=(30, 31))
    with prod.engine.begin() as connection:
        connection.execute(
            text("UPDATE ops.verdicts SET previous_status = 'unhealthy' WHERE position = 0 AND utc_day = :day"),
            {"day": DAY - timedelta(days=5)},
        )
    page = _report(out, "--days=38")
    assert page.all("h1")[0].words == f"Delivery health on {DAY - timedelta(days=2)} healthy"
    assert "This is old: 2 complete days after it have not been judged." in page.words
    assert f"Never counted: {DAY - timedelta(days=31)} to {DAY - timedelta(days=30)}" in page.words
    assert f"Late data made {DAY - timedelta(days=5)} healthy; it was unhealthy." in page.words
    titles = [title.words for title in page.all("title")[1:]]
    assert len(titles) == 38
    assert f"{DAY - timedelta(days=20)} not judged" in titles
    assert f"{DAY - timedelta(days=3)} healthy within_limits" in titles
    page = _report(out, f"--as-of={DAY - timedelta(days=20)}")
    assert page.all("h1")[0].words.endswith("not judged")
    assert "This is old" not in page.words


def test_planned_days_and_unhealthy_ones_are_marked_in_charts_and_tables(prod: Database, out: Path) -> None:
    planned = Planned(first=DAY - timedelta(days=4), last=DAY - timedelta(days=3))
    _history(prod, bad=(0,), thresholds=Thresholds(planned=(planned,)))
    figure = next(one for one in _report(out).all("figure") if "first touch: hold rate" in one.words)
    (described,) = [one for one in figure.walk() if one.attributes.get("role") == "img"]
    assert "Unhealthy on 1 days, planned on 2." in described.attributes["aria-label"]
    assert sum(one.attributes.get("fill") == "var(--planned)" for one in figure.walk()) == 2
    assert sum(one.attributes.get("fill") == "var(--unhealthy)" for one in figure.walk()) == 1
    rows = [row.words for row in figure.all("tr")]
    assert len(rows) == 91
    assert rows[1].startswith(f"{DAY} unhealthy hold_rate_high 1 75 300 0.2500 0.0500 ")
    assert f"{planned.last} insufficient_data planned" in rows[4]


@pytest.mark.usefixtures("_undrawn")
def test_the_lines_are_those_that_ops_daily_prints(prod: Database, lines: Lines, out: Path) -> None:
    healthy_traffic(prod)
    ops_daily.main(["--mode=prod"])
    printed = [line for line in lines() if not line.startswith(("ops_daily mode", "ops_metrics_snapshot"))]
    (shown,) = _report(out).all("pre")
    assert [line.words for line in shown.all("span")] == printed


def test_the_funnel_has_every_reason_in_every_window(unhealthy: Written) -> None:
    (section,) = [one for one in unhealthy.page.all("section") if "step by step" in one.all("h2")[0].words]
    rows = [row.words for row in section.all("tr")]
    assert rows[0] == "step reason this day 7 days 30 days"
    assert "suppressed cooldown_active 5 35 150" in rows
    assert "held risk_level_2 2 14 60" in rows
    assert "disabled negative_ack 1 7 30" in rows
    assert "630" not in section.words
    assert "600 + 150 suppressed" in section.words


@pytest.mark.usefixtures("_undrawn")
def test_reasons_that_say_nothing_are_counted_and_not_named(prod: Database, out: Path) -> None:
    healthy_traffic(prod)
    with prod.engine.begin() as connection:
        send(connection, 50, "held", "mallory_s_own_reason")
    ops_daily.main(["--mode=prod"])
    page = _report(out)
    assert "first held undeclared 1500" in [row.words for row in page.all("tr")]
    assert "labels_unusable" in page.all("header")[0].words


@pytest.mark.usefixtures("_undrawn")
def test_segments_are_those_that_were_published_and_small_numbers_are_not_told(
    prod: Database, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ops.toml").write_text('[taxonomy]\nsegments = ["email", "sms"]\n')
    monkeypatch.setenv("OPS_CONFIG", str(tmp_path / "ops.toml"))
    healthy_traffic(prod)
    with prod.engine.begin() as connection:
        send(connection, 3, "delivered", segment="sms")
        send(connection, 20, "delivered", segment="push")
    ops_daily.main(["--mode=prod"])
    with prod.engine.begin() as connection:
        # What is counted by segment is not what a page may show.
        connection.execute(text("UPDATE ops.daily_counts SET events = 777 WHERE segment = 'email'"))
        published = connection.execute(delivered_segments.select()).all()
    assert [(row.touch, row.by_segment) for row in published] == [("first", {"email": 80}), ("second", {})]
    rows = [row.words for table in _report(out).all("table") for row in table.all("tr") if "segment" in table.words]
    assert rows == ["segment delivered", "email 80", "other 23", "segment delivered", "other lt10"]


# What it is


def test_it_is_one_file_without_script_and_nothing_in_it_comes_from_elsewhere(unhealthy: Written) -> None:
    page, source = unhealthy.page, unhealthy.path.read_text(encoding="utf-8")
    assert not page.all("script", "link", "img", "iframe", "object", "embed", "base", "form", "a", "use", "image")
    attributes = {name for one in page.walk() for name in one.attributes}
    assert not [name for name in attributes if name.startswith(("on", "xmlns", "xlink")) or name in ("src", "href")]
    assert not re.search(r"//|\burl\(|@import|javascript:|data:", source)
    (policy,) = [one for one in page.all("meta") if "http-equiv" in one.attributes]
    assert policy.attributes["content"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert len(source.encode()) < 1_500_000
    assert [path.name for path in unhealthy.path.parent.iterdir()] == ["report.html"]


def _own_words() -> set[str]:
    """The words of the pages' own text, of the reasons, and of what may be said of an event."""
    templates = " ".join(path.read_text(encoding="utf-8") for path in TEMPLATES.glob("*.html"))
    taxonomy = Taxonomy()
    declared = [
        templates,
        *(f"{reason} {reason.means} {reason.next_step}" for reason in Reason),
        *(word for words in (Status, Scope, Touch, Outcome, Reserved, SignalName) for word in words),
        *(word.replace("_", " ") for words in (Status, SignalName) for word in words),
        *(reason for reasons in taxonomy.reasons.values() for reason in reasons),
        "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
    ]
    return _words(" ".join(declared))


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d]\w*", text))


def test_it_holds_numbers_dates_and_declared_words_and_nothing_of_what_events_say(
    prod: Database, lines: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = "canary4711"
    folder = tmp_path / canary
    folder.mkdir()
    (folder / "ops.toml").write_text('[taxonomy]\nsegments = ["email"]\n')
    monkeypatch.setenv("OPS_CONFIG", str(folder / "ops.toml"))
    healthy_traffic(prod)
    with prod.engine.begin() as connection:
        send(connection, 30, "held", canary)
        send(connection, 30, "suppressed", "cooldown_active", touch="second")
        connection.execute(
            text(
                "INSERT INTO ops.delivery_events SELECT CAST(:day AS timestamptz) + interval '1 hour', 'first',"
                " 'delivered', NULL, :segment FROM generate_series(1, 40)"
            ),
            {"day": DAY, "segment": canary},
        )
    ops_daily.main(["--mode=prod"])
    printed = _words(" ".join(lines()[:-1]))
    page = _report(folder / f"{canary}.html")
    shown = [
        *(one.text for one in page.walk() if one.parent and one.parent.tag != "style"),
        *(value for one in page.walk() for name, value in one.attributes.items() if name == "aria-label"),
    ]
    assert _words(" ".join(shown)) - _own_words() - printed == set()
    source = (folder / f"{canary}.html").read_text(encoding="utf-8")
    assert canary not in source
    assert str(prod.dsn).rpartition("/")[2].partition("?")[0] not in source


@pytest.mark.parametrize("value", ["a text", b"bytes", ["text"], {"key": "text"}, object()])
def test_what_no_line_may_hold_no_page_can_hold(value: object) -> None:
    def page(shown: object) -> str:
        return rendered("replay.html", days=[shown], rules=[], rates=[], has_candidate=False, differing=[])

    assert f"<p>{DAY} to {DAY}, UTC days.</p>" in page(DAY)
    with pytest.raises(TypeError):
        page(value)


def test_whoever_cannot_see_it_can_hear_it(unhealthy: Written) -> None:
    page = unhealthy.page
    assert page.all("html")[0].attributes["lang"] == "en"
    headings = [int(one.tag[1]) for one in page.all("h1", "h2", "h3", "h4")]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(headings))
    for svg in page.all("svg"):
        described = [one for one in svg.above if one.attributes.get("role") == "img"]
        assert svg.attributes.get("aria-hidden") == "true" or described[0].attributes["aria-label"]
    for described in (one for one in page.walk() if one.attributes.get("role") == "img"):
        assert len(_words(described.attributes["aria-label"])) > 10
    charts = [figure for figure in page.all("figure") if figure.all("svg")]
    assert sum(bool(figure.all("details")) for figure in charts) == 10
    assert all(cell.attributes["scope"] == "col" for cell in page.all("th"))
    assert all(one.attributes["aria-label"] for one in page.walk() if one.attributes.get("role") == "region")
    assert "none" not in {one.attributes.get("id", "none") for one in page.walk() if "id" in one.attributes}


def _luminance(colour: str) -> float:
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_everything_stands_out_in_light_and_dark() -> None:
    style = (TEMPLATES / "base.html").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{.*?\}", style, re.DOTALL)
    schemes = [dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block)) for block in blocks]
    assert len(schemes) == 2
    for colours in schemes:
        for background in ("page", "card"):
            for name in ("text", "muted"):
                assert _contrast(colours[name], colours[background]) >= 4.5, name
        for name in ("healthy", "insufficient", "unhealthy", "expected", "limit", "critical"):
            assert _contrast(colours[name], colours["page"]) >= 3, name
        assert _contrast(colours["healthy"], colours["band"]) >= 3


# What goes wrong


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        (["--as-of=yesterday"], "reason=invalid_day"),
        ([f"--as-of={DAY + timedelta(days=2)}"], "reason=day_not_complete"),
        (["--as-of=2001-01-01"], "reason=day_before_first"),
        (["--days=0"], "reason=usage option=days"),
        (["--days=367"], "reason=usage option=days"),
        (["--days=ninety"], "reason=usage option=days"),
        (["--out=/no/such/folder/report.html"], "reason=file_not_written"),
    ],
)
def test_what_cannot_be_reported_has_a_reason_and_leaves_the_page_that_was_there(
    prod: Database, lines: Lines, out: Path, arguments: list[str], fields: str
) -> None:
    out.write_text("the page of yesterday")
    assert main([f"--out={out}", *arguments]) == 1
    assert lines() == [f"report status=fail {fields}"]
    assert [(path.name, path.read_text()) for path in out.parent.iterdir()] == [(out.name, "the page of yesterday")]


def test_without_out_database_or_tables_there_is_no_page(
    empty_database: Database, lines: Lines, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main([]) == 1
    assert main([f"--out={out}"]) == 1
    monkeypatch.setenv("OPS_POSTGRES_DSN", empty_database.dsn)
    assert main([f"--out={out}"]) == 1
    monkeypatch.setenv("OPS_POSTGRES_DSN", "postgresql://ops:s3cr3t@127.0.0.1:1/ops")
    assert main([f"--out={out}"]) == 1
    assert [line.removeprefix("report status=fail reason=") for line in lines()] == [
        "usage",
        "missing_env missing=OPS_POSTGRES_DSN",
        "missing_tables",
        "db_connect_failed cause=refused dsn=OPS_POSTGRES_DSN",
    ]
    assert not out.exists()


def test_without_the_extra_it_says_what_to_install(prod: Database, out: Path) -> None:
    _history(prod, days=2)
    code = "import sys; sys.modules['altair'] = None; from ops_pipeline.tools.report import main; sys.exit(main())"
    ended = subprocess.run([sys.executable, "-c", code, f"--out={out}"], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "report status=fail reason=report_missing\n", "")


# The asset


def _run_job(day: date) -> dict[str, object]:
    """Run the served job for a day and return the report's figures."""
    job = definitions().resolve_job_def("ops_daily")
    with configured_instance() as instance:
        assert job.execute_in_process(instance=instance, partition_key=str(day)).success
        found = instance.get_latest_materialization_event(dg.AssetKey("report"))
    materialization = found.asset_materialization if found else None
    assert materialization is not None
    assert materialization.partition == str(day)
    return {name: value.value for name, value in materialization.metadata.items()}


@pytest.mark.usefixtures("_undrawn")
def test_the_job_writes_the_page_of_the_day_after_its_verdict_where_a_folder_is_named(
    prod: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy_traffic(prod)
    figures = _run_job(DAY)
    assert (figures["status"], figures["reason"], figures["pages"]) == ("healthy", "within_limits", 0)
    assert (figures["days_healthy"], figures["days_not_judged"], figures["episodes"]) == (1, 89, 0)
    monkeypatch.setenv("OPS_REPORT_DIR", str(tmp_path))
    assert _run_job(DAY)["pages"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{DAY}.html", "index.html"]
    assert _parsed(tmp_path / "index.html").all("h1")[0].words == f"Delivery health on {DAY} healthy"
    # An older day does not take the newest one's place.
    before = DAY - timedelta(days=1)
    assert _run_job(before)["pages"] == 1
    assert _parsed(tmp_path / "index.html").all("h1")[0].words.startswith(f"Delivery health on {DAY} ")
    assert _parsed(tmp_path / f"{before}.html").all("h1")[0].words.startswith(f"Delivery health on {before} ")


def test_a_page_that_cannot_be_written_hides_no_verdict(
    prod: Database, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPS_REPORT_DIR", "/no/such/folder")
    healthy_traffic(prod)
    assert ops_daily.main(["--mode=prod"]) == 0
    assert " status=healthy " in lines()[-2]
    job = definitions().resolve_job_def("ops_daily")
    with configured_instance() as instance:
        run = job.execute_in_process(instance=instance, partition_key=str(DAY), raise_on_error=False)
        assert not run.success
        (failed,) = [event for event in run.all_events if event.is_step_failure]
    assert failed.step_key == "report"
    assert "file_not_written" in str(failed.event_specific_data)
    assert "/no/such" not in str(failed.event_specific_data)
    with reading(prod.engine) as connection:
        assert results.last_judged_day(connection) == DAY
