"""The program text itself: there is one module that prints, one that reads exceptions, and no way round either."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "ops_pipeline"
MODULES = {
    path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))
}

PRINTS = {"contract/lines.py"}
READS_EXCEPTIONS = {"contract/errors.py"}

# What may be asked of an exception: a word, or whether it is of a kind.
QUESTIONS = {"_faults", "_line_in", "to_ops_error", "sqlstate_of", "reason_of", "cause_of", "isinstance", "redact"}
# Attributes that hold numbers, or words of argparse or our own.
ATTRIBUTES = {"argument_name", "code", "errno", "rejected_by", "start"}

DEFINITIONS = {
    "asset",
    "asset_check",
    "asset_sensor",
    "config_mapping",
    "definitions",
    "failure_hook",
    "multi_asset",
    "multi_asset_check",
    "op",
    "resource",
    "run_failure_sensor",
    "run_status_sensor",
    "schedule",
    "sensor",
    "success_hook",
}
"""Decorators of Dagster whose functions it calls and whose exceptions it stores."""


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _dotted(node: ast.expr) -> str:
    return ast.unparse(node)


def test_one_module_prints() -> None:
    for module, tree in MODULES.items():
        printing = {_dotted(call.func) for call in _calls(tree)} & {
            "print",
            "sys.stdout.write",
            "sys.stderr.write",
            "os.write",
            "traceback.print_exc",
            "traceback.print_exception",
            "warnings.warn",
        }
        allowed = {"sys.stdout.write", "sys.stderr.write"} if module in PRINTS else set()
        allowed |= {"traceback.print_exception"} if module in READS_EXCEPTIONS else set()
        assert printing <= allowed, module


def test_nothing_is_logged_but_lines() -> None:
    for module, tree in MODULES.items():
        for call in _calls(tree):
            name = _dotted(call.func)
            assert not any(keyword.arg == "exc_info" for keyword in call.keywords), (module, name)
            if name.split(".")[-1] in {"debug", "info", "warning", "error", "exception", "log"}:
                assert (name, ast.unparse(call.args[0])) == ("context.log.info", "str(line)"), module


def test_of_an_exception_only_its_word_is_asked() -> None:
    for module in MODULES.keys() - READS_EXCEPTIONS:
        handlers = (node for node in ast.walk(MODULES[module]) if isinstance(node, ast.ExceptHandler) and node.name)
        for handler in handlers:
            parents = {id(child): node for node in ast.walk(handler) for child in ast.iter_child_nodes(node)}
            for use in (node for node in ast.walk(handler) if isinstance(node, ast.Name) and node.id == handler.name):
                parent = parents[id(use)]
                is_asked = isinstance(parent, ast.Call) and _dotted(parent.func) in QUESTIONS
                is_word = isinstance(parent, ast.Attribute) and parent.attr in ATTRIBUTES
                assert is_asked or is_word, f"{module}, line {use.lineno}: {ast.unparse(parent)}"


def test_nothing_is_raised_with_a_cause_and_no_handler_raises_but_the_same() -> None:
    for module, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise):
                assert node.cause is None, f"{module}, line {node.lineno}"
            if isinstance(node, ast.ExceptHandler):
                raised = [one for one in ast.walk(node) if isinstance(one, ast.Raise) and one.exc is not None]
                assert raised == [], f"{module}, line {node.lineno}"


def test_whatever_dagster_calls_stands_behind_the_boundary() -> None:
    for module, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                names = {one.name for one in node.body if isinstance(one, ast.FunctionDef)}
                by_dagster = {"setup_for_execution", "teardown_after_execution", "yield_for_execution"}
                assert not names & by_dagster, (module, node.name)
            if not isinstance(node, ast.FunctionDef):
                continue
            decorators = [_dotted(one.func if isinstance(one, ast.Call) else one) for one in node.decorator_list]
            if any(name.removeprefix("dg.") in DEFINITIONS for name in decorators if name.startswith("dg.")):
                assert decorators[-1] == "error_boundary", (module, node.name)


def test_these_tests_see_what_they_look_for() -> None:
    definitions = {
        _dotted(one.func if isinstance(one, ast.Call) else one).removeprefix("dg.")
        for tree in MODULES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for one in node.decorator_list
    }
    assert {"asset", "multi_asset_check", "op", "schedule", "definitions", "config_mapping"} <= definitions
    assert MODULES.keys() >= PRINTS | READS_EXCEPTIONS
