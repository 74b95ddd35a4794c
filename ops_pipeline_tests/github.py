"""A small GitHub: runs the jobs of a workflow in order, and answers for issues. What it does not know, it refuses.

Steps run as real processes; of other people's actions there is what they do to the outside, and nothing is installed.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = ROOT / ".github" / "workflows"
REPOSITORY = "example/service"

INSTALLS = {
    "make .venv/developer",
    'make --directory="$GITHUB_ACTION_PATH/../../.." .venv/runtime',
}
"""Commands that only install."""
MAKES = {"make test", "make check", "make docs", "make proofs"}
"""Commands that are tested by being what they are."""
IGNORED_ACTIONS = {"actions/setup-python"}
_KNOWN = {
    "workflow": {"name", "on", "permissions", "concurrency", "jobs"},
    "job": {
        "concurrency",
        "env",
        "environment",
        "if",
        "needs",
        "outputs",
        "permissions",
        "runs-on",
        "secrets",
        "services",
        "steps",
        "strategy",
        "timeout-minutes",
        "uses",
        "with",
    },
    "step": {"env", "id", "if", "run", "shell", "uses", "with", "working-directory"},
}
"""The keys that are known here, or change nothing here."""
_TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|(==|!=|&&|\|\||[()!,])|([A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*))")
_FUNCTIONS = {"always", "success", "failure", "cancelled"}

Context = Mapping[str, Any]


def load(path: Path) -> dict[str, Any]:
    """Return a workflow or action; YAML reads the key `on` as true."""
    document: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {"on" if key is True else key: value for key, value in document.items()}


class Expression:
    """An expression of GitHub's language, as far as our workflows use it. Raises ValueError for anything else."""

    def __init__(self, text: str, context: Context) -> None:
        self._tokens = self._split(text)
        self._context = context

    @staticmethod
    def _split(text: str) -> list[str]:
        tokens, at = [], 0
        while text[at:].strip():
            match = _TOKEN.match(text, at)
            if not match:
                raise ValueError(f"not an expression that is known here: {text}")
            tokens.append(match[0].strip())
            at = match.end()
        return tokens

    def value(self) -> Any:
        """Return what it evaluates to."""
        found = self._either()
        if self._tokens:
            raise ValueError(f"more than an expression: {self._tokens}")
        return found

    def _takes(self, token: str) -> bool:
        is_next = bool(self._tokens) and self._tokens[0] == token
        if is_next:
            self._tokens.pop(0)
        return is_next

    def _either(self) -> Any:
        found = self._both()
        while self._takes("||"):
            other = self._both()
            found = found or other
        return found

    def _both(self) -> Any:
        found = self._compared()
        while self._takes("&&"):
            other = self._compared()
            found = found and other
        return found

    def _compared(self) -> Any:
        found = self._single()
        if self._takes("=="):
            return (found or "") == self._single()
        if self._takes("!="):
            return (found or "") != self._single()
        return found

    def _single(self) -> Any:
        if self._takes("!"):
            return not self._single()
        if self._takes("("):
            found = self._either()
            assert self._takes(")")
            return found
        token = self._tokens.pop(0)
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if token in _FUNCTIONS:
            assert self._takes("(")
            assert self._takes(")")
            return self._context["functions"][token]
        return self._looked_up(token.split("."))

    def _looked_up(self, names: list[str]) -> Any:
        found: Any = self._context
        if names[0] not in found:
            raise ValueError(f"no such context here: {names[0]}")
        for at, name in enumerate(names):
            # Secrets, variables and outputs may be unset; what GitHub fills is set.
            if at == 1 and names[0] in ("github", "runner", "matrix") and name not in found:
                raise ValueError(f"not known here: {'.'.join(names)}")
            found = (found or {}).get(name)
        return found


def _refuse_unknown(kind: str, given: Context) -> None:
    """Raise ValueError for a key that would change what GitHub does, and changes nothing here."""
    if unknown := given.keys() - _KNOWN[kind]:
        raise ValueError(f"not known here in a {kind}: {sorted(unknown)}")


def evaluated(value: Any, context: Context) -> Any:
    """Return a value of a workflow with its expressions evaluated, as text."""
    if isinstance(value, dict):
        return {key: evaluated(one, context) for key, one in value.items()}
    text = value if isinstance(value, str) else json.dumps(value)

    def replace(match: re.Match[str]) -> str:
        found = Expression(match[1], context).value()
        return "" if found is None else found if isinstance(found, str) else json.dumps(found)

    return re.sub(r"\$\{\{(.*?)\}\}", replace, text)


def is_met(condition: Any, context: Context) -> bool:
    """Return whether an `if:` is met; without a word on success it means success."""
    text = str(condition if condition is not None else "success()").strip()
    text = text.removeprefix("${{").removesuffix("}}")
    if not re.search(r"\b(always|failure|cancelled|success)\(\)", text):
        text = f"success() && ({text})"
    return bool(Expression(text, context).value())


def _functions(is_failed: bool) -> dict[str, bool]:
    return {"always": True, "success": not is_failed, "failure": is_failed, "cancelled": False}


def commands(path: Path) -> dict[str, str]:
    """Return what a step left in one of GitHub's files. Raises ValueError for a line that GitHub would refuse."""
    found, lines = {}, iter(path.read_text(encoding="utf-8").splitlines())
    for line in lines:
        name, sign, rest = re.split(r"(=|<<)", line, maxsplit=1) if re.search("=|<<", line) else ("", "", "")
        if not name:
            raise ValueError(f"invalid format: {line}")
        if sign == "=":
            found[name] = rest
            continue
        block = []
        for inner in lines:
            if inner == rest:
                break
            block.append(inner)
        else:
            raise ValueError("matching delimiter not found")
        found[name] = "\n".join(block)
    return found


@dataclass
class Run:
    """A run of a workflow, and what is left of it."""

    folder: Path
    event: str
    inputs: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    ref: str = "main"
    """The branch or tag."""
    api: str = "http://127.0.0.1:1"
    fails: str = ""
    """A part of the command or action whose step fails, as an installation may."""
    cancels: str = ""
    """The job that somebody cancels."""
    services: dict[str, str] = field(default_factory=dict)
    """Addresses of services that a job starts beside itself, and where they are here."""
    environment: dict[str, str] = field(default_factory=dict)
    """What the machine sets for every step."""
    results: dict[str, str] = field(default_factory=dict)
    log: str = ""
    summary: str = ""
    artifacts: dict[str, list[Path]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.workspace = self.folder
        self._numbers = itertools.count()
        self.source = self.folder / "source"
        self.bin = self.folder / "bin"
        for made in (self.source, self.bin, self.folder / "temp"):
            made.mkdir(parents=True)
        self._check_out()

    def _check_out(self) -> None:
        """Make the source as an action sees it, with what installing would have left there."""
        # Not a link: its steps go up from where they are.
        shutil.copytree(ROOT / ".github", self.source / ".github")
        for entry in ROOT.iterdir():
            if not entry.name.startswith(".") or entry.name == ".gitignore":
                (self.source / entry.name).symlink_to(entry)
        installed = self.source / ".venv" / "bin" / "ops-pipeline"
        installed.parent.mkdir(parents=True)
        _script(installed, f'PYTHONPATH="{ROOT}" exec "{sys.executable}" -P -m ops_pipeline.cli.main "$@"')
        _script(installed.with_name("uv"), f'VIRTUAL_ENV="{sys.prefix}" exec "{sys.executable}" -m uv "$@"')
        # What a runner has before anything is installed: no package but the standard library.
        python = getattr(sys, "_base_executable", sys.executable)
        _script(self.bin / "python3", f'exec "{python}" -S "$@"')
        _script(self.bin / "python", f'exec "{python}" "$@"')

    def start(self, workflow: str, *only: str) -> str:
        """Run a workflow of ours, or only some of its jobs, and return `success` or `failure`."""
        document = load(WORKFLOWS / workflow)
        _refuse_unknown("workflow", document)
        if only:
            document["jobs"] = {name: document["jobs"][name] for name in only}
        self._run_jobs(document, self.inputs, self.secrets)
        return "failure" if "failure" in self.results.values() else "success"

    def take_steps(self, steps: list[Any]) -> str:
        """Run steps of a job without anything else and return how it ended."""
        job = {"steps": steps}
        context = {"github": self._github(), "inputs": self.inputs, "runner": self._runner()}
        return str(self._run_job(job, context)["result"])

    def _github(self) -> dict[str, str]:
        return {
            "event_name": self.event,
            "repository": REPOSITORY,
            "ref": "refs/heads/main",
            "token": "ghs_token_of_the_job",
            "run_attempt": "1",
        }

    def _runner(self) -> dict[str, str]:
        return {"temp": str(self.folder / "temp")}

    def _run_jobs(self, document: Context, inputs: Context, secrets: Context) -> dict[str, Any]:
        declared = (document["on"].get("workflow_call") or {}) if isinstance(document["on"], dict) else {}
        defaults = {name: one.get("default", "") for name, one in (declared.get("inputs") or {}).items()}
        needs: dict[str, Any] = {}
        for name, job in document["jobs"].items():
            _refuse_unknown("job", job)
            asked = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
            context = {
                "github": self._github(),
                "inputs": {**defaults, **inputs},
                "secrets": secrets,
                "vars": self.variables,
                "needs": {one: needs[one] for one in asked},
                "functions": _functions(any(needs[one]["result"] != "success" for one in asked)),
                "runner": self._runner(),
                "matrix": {key: values[0] for key, values in job.get("strategy", {}).get("matrix", {}).items()},
            }
            if not is_met(job.get("if"), context):
                needs[name] = {"result": "skipped", "outputs": {}}
            elif name == self.cancels:
                needs[name] = {"result": "cancelled", "outputs": {}}
            elif "uses" in job:
                needs[name] = {"result": self._call(job, context), "outputs": {}}
            else:
                needs[name] = self._run_job(job, context)
            self.results[name] = needs[name]["result"]
        return needs

    def _call(self, job: Context, context: Context) -> str:
        assert job["uses"].startswith("$/.github/workflows/")
        called = load(ROOT / job["uses"].removeprefix("$/"))
        given = {name: evaluated(value, context) for name, value in job.get("with", {}).items()}
        secrets = {name: evaluated(value, context) for name, value in job.get("secrets", {}).items()}
        assert given.keys() <= called["on"]["workflow_call"]["inputs"].keys()
        assert secrets.keys() <= called["on"]["workflow_call"]["secrets"].keys()
        results = self._run_jobs(called, given, secrets)
        return "failure" if any(one["result"] == "failure" for one in results.values()) else "success"

    def _run_job(self, job: Context, context: Context) -> dict[str, Any]:
        self.workspace = self.folder / "workspaces" / str(next(self._numbers))
        self.workspace.mkdir(parents=True)
        environ = {name: evaluated(value, context) for name, value in job.get("env", {}).items()}
        assert not job.get("services") or set(environ.values()) <= self.services.keys()
        environ = {name: self.services.get(value, value) for name, value in environ.items()}
        result, steps = self._run_steps(job["steps"], {**context, "env": environ}, environ, self.source)
        outputs = {
            name: evaluated(value, {**context, "steps": steps}) for name, value in job.get("outputs", {}).items()
        }
        # GitHub hands on no output that holds a secret.
        kept = {
            name: value
            for name, value in outputs.items()
            if not any(secret and secret in value for secret in self.secrets.values())
        }
        return {"result": result, "outputs": kept}

    def _run_steps(
        self, steps: list[Any], context: Context, environ: Mapping[str, str], here: Path
    ) -> tuple[str, dict[str, Any]]:
        done: dict[str, Any] = {}
        is_failed = False
        for step in steps:
            _refuse_unknown("step", step)
            # The status is that of an action; a job has none under this name, but uses it nowhere.
            github = {**context["github"], "action_status": "failure" if is_failed else "success"}
            within = {**context, "github": github, "steps": done, "functions": _functions(is_failed)}
            outcome, outputs = "skipped", {}
            if is_met(step.get("if"), within):
                own = {**environ, **{name: evaluated(one, within) for name, one in step.get("env", {}).items()}}
                outcome, outputs = self._take(step, within, own, here)
                is_failed = is_failed or outcome == "failure"
            if "id" in step:
                done[step["id"]] = {"outcome": outcome, "outputs": outputs}
        return ("failure" if is_failed else "success"), done

    def _take(
        self, step: Context, context: Context, environ: Mapping[str, str], here: Path
    ) -> tuple[str, dict[str, str]]:
        if "run" in step:
            return self._execute(step, context, environ, here)
        given = {name: evaluated(value, context) for name, value in step.get("with", {}).items()}
        if step["uses"].startswith("$/"):
            return self._compose(self.source / step["uses"].removeprefix("$/"), given, context, environ)
        name = step["uses"].partition("@")[0]
        if self.fails and self.fails in name:
            return "failure", {}
        if name == "actions/upload-artifact":
            path = self.workspace / given["path"]
            shown = (one for one in path.rglob("*") if not one.name.startswith("."))
            self.artifacts[given["name"]] = found = sorted(one for one in shown if one.is_file())
            return ("success" if found else "failure"), {}
        if name == "actions/checkout":
            # Not a link: hatchling packs none.
            left_out = shutil.ignore_patterns("__pycache__", "_build")
            shutil.copytree(self.source, self.workspace, ignore=left_out, dirs_exist_ok=True)
        elif name not in IGNORED_ACTIONS:
            raise ValueError(f"not known here: {name}")
        return "success", {}

    def _compose(
        self, folder: Path, given: Context, context: Context, environ: Mapping[str, str]
    ) -> tuple[str, dict[str, str]]:
        action = load(folder / "action.yml")
        declared = action["inputs"]
        assert given.keys() <= declared.keys()
        assert given.keys() >= {name for name, one in declared.items() if one.get("required")}
        inputs = {name: one.get("default", "") for name, one in declared.items()} | dict(given)
        # A composite action knows neither secrets nor variables.
        within = {
            "github": {**context["github"], "action_path": str(folder)},
            "inputs": inputs,
            "runner": context["runner"],
            "env": environ,
        }
        result, steps = self._run_steps(action["runs"]["steps"], within, environ, folder)
        outputs = {
            name: evaluated(one["value"], {**within, "steps": steps})
            for name, one in action.get("outputs", {}).items()
        }
        return result, outputs

    def _execute(
        self, step: Context, context: Context, environ: Mapping[str, str], here: Path
    ) -> tuple[str, dict[str, str]]:
        command = evaluated(step["run"], context)
        if self.fails and self.fails in command:
            return "failure", {}
        if command in INSTALLS | MAKES:
            return "success", {}
        files = {name: self.folder / "temp" / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for file in files.values():
            file.write_text("")
        # A composite action says its shell; elsewhere GitHub's default has no pipefail.
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"] if "shell" in step else ["bash", "-ec"]
        process = subprocess.run(
            [*shell, command],
            cwd=evaluated(step.get("working-directory", str(self.workspace)), context),
            env={
                "PATH": f"{self.bin}:{os.environ['PATH']}",
                "HOME": str(self.folder),
                # A database that is down need not be tried again for two minutes.
                "OPS_RETRY_SECONDS": "0",
                "GITHUB_ACTIONS": "true",
                "GITHUB_ACTION_PATH": str(here),
                "GITHUB_API_URL": self.api,
                "GITHUB_EVENT_NAME": self.event,
                "GITHUB_REF_NAME": self.ref,
                "GITHUB_REPOSITORY": REPOSITORY,
                "GITHUB_RUN_ID": "4711",
                "RUNNER_TEMP": str(self.folder / "temp"),
                **{name: str(file) for name, file in files.items()},
                **self.environment,
                **environ,
            },
            capture_output=True,
            text=True,
            timeout=600,
        )
        # Of our own tools nothing may stand there; of pip and uv it may.
        assert not process.stderr or not re.search(r"ops-pipeline|ops_pipeline\.tools", command), process.stderr
        self.log += process.stdout
        self.summary += files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")
        return ("success" if process.returncode == 0 else "failure"), commands(files["GITHUB_OUTPUT"])


def _script(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\n{command}\n", encoding="utf-8")
    path.chmod(0o755)


class Issues:
    """The issues of the repository, as GitHub's REST API has them."""

    def __init__(self) -> None:
        self.issues: list[dict[str, Any]] = []
        self.comments: list[tuple[int, str]] = []
        self.refuses = 0
        """The status with which it refuses everything."""
        self.address = ""

    def open_ones(self) -> list[dict[str, Any]]:
        """Return the open issues."""
        return [one for one in self.issues if one["state"] == "open"]

    def texts(self) -> str:
        """Return all that is written in issues."""
        return "\n".join(
            [*(f"{one['title']}\n{one['body']}" for one in self.issues), *(body for _, body in self.comments)]
        )

    def answer(self, method: str, path: str, document: Any) -> tuple[int, Any]:
        """Return status and answer of a request."""
        parts = urlsplit(path)
        if self.refuses:
            return self.refuses, {"message": "Resource not accessible by integration"}
        assert parts.path.startswith(f"/repos/{REPOSITORY}/issues")
        at = parts.path.removeprefix(f"/repos/{REPOSITORY}/issues").strip("/").split("/")
        match method, at:
            case "GET", [""]:
                query = parse_qs(parts.query)
                first = (int(query["page"][0]) - 1) * int(query["per_page"][0])
                author = {"user": {"type": "Bot"}, "author_association": "NONE"}
                newest_first = [author | one for one in reversed(self.issues) if one["state"] in query["state"]]
                return 200, newest_first[first : first + int(query["per_page"][0])]
            case "POST", [""]:
                self.issues.append({"number": len(self.issues) + 1, "state": "open", **document})
                return 201, self.issues[-1]
            case "GET", [number, "comments"]:
                return 200, [{"body": body} for at, body in self.comments if at == int(number)]
            case "POST", [number, "comments"]:
                self.comments.append((int(number), document["body"]))
                return 201, {"id": len(self.comments)}
            case "PATCH", [number]:
                self.issues[int(number) - 1] |= document
                return 200, self.issues[int(number) - 1]
        raise ValueError("not known here")


@contextmanager
def serving(issues: Issues) -> Iterator[Issues]:
    """Answer for the issues on a port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            document = json.loads(self.rfile.read(length)) if length else None
            assert self.headers["Authorization"].startswith("Bearer ghs_")
            status, found = issues.answer(self.command, self.path, document)
            content = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = _handle  # noqa: N815 - names of the standard library

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    issues.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield issues
    finally:
        server.shutdown()
        server.server_close()
