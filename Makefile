# Every target makes what it needs: .venv is installed on first use, and again when the pinned packages change.
PYTHON ?= python3
BIN := .venv/bin
UV = $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes
UV_ITSELF = $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
PORT ?= 3000
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-emit-package ops-pipeline --no-annotate --custom-compile-command "make lock"

# Some containers set it. Then every process compiles Dagster anew, which takes it seconds.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo ui test proofs rehearsal check docs bench lock clean

help: ## say what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-9s %s\n", $$1, $$2}'

# What a user needs: the demo, the UI and the tools. uv is installed by pip, and installs the rest.
.venv/runtime: pyproject.toml requirements-build.lock requirements-runtime.lock
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or later is needed: make PYTHON=python3.12 ...")'
	@echo "Installing into .venv (once; some ten seconds)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes --requirement requirements-build.lock
	@$(UV) --requirement requirements-runtime.lock
	@$(UV_ITSELF)
	@touch $@

# What a developer needs besides: tests, linters, documentation.
.venv/developer: requirements.lock | .venv/runtime
	@echo "Installing the developer's tools into .venv (once; half a minute)"
	@$(UV) --requirement requirements.lock
	@touch $@

demo: .venv/runtime ## the whole way once: embedded PostgreSQL, sample traffic, one day's lines
	@$(BIN)/ops-pipeline demo
	@echo "Look at it in the browser: make ui"

ui: .venv/runtime ## the Dagster UI on the demo database, until Ctrl-C (PORT=3000)
	@echo "Open http://127.0.0.1:$(PORT) when it says status=ok (some ten seconds); stop with Ctrl-C"
	@$(BIN)/ops-pipeline ui --port=$(PORT)

test: .venv/developer ## the test suite on a real PostgreSQL, in two processes
	@$(BIN)/python -m pytest --numprocesses=2 --dist=worksteal

proofs: .venv/developer ## what takes longer: simulated years, faults on real processes, the search for leaks; in two processes
	@$(BIN)/python -m pytest -m slow --numprocesses=2 --dist=worksteal

rehearsal: .venv/developer ## the runbook's golden path on two throwaway servers: bootstrap, backup, restore, the same lines
	@$(BIN)/python -W ignore -m ops_pipeline_tests.rehearsal

check: .venv/developer ## format, lint, types, layers, locks, generated docs, workflows
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo --no-cache
	@$(BIN)/ops-pipeline db_bootstrap --dry-run --lint
	@$(BIN)/python docs/generate_reference.py --check
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-actions .github/actions/*/action.yml
	@$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	@$(BIN)/jactionlint --profile correctness --no-hints
	@$(BIN)/zizmor --offline --quiet --no-progress .github

docs: .venv/developer ## the documentation as a site, in docs/_build; a broken link is an error
	@$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs docs/_build
	@echo "docs/_build/index.html"

bench: .venv/developer ## how fast the tools start and judge, as ratios; how good the watchdog is (some minutes)
	@$(BIN)/python -m ops_pipeline_tests.bench.start
	@$(BIN)/python -m ops_pipeline_tests.bench.judge
	@$(BIN)/python -m ops_pipeline_tests.bench.backfill
	@$(BIN)/python -m ops_pipeline_tests.simulation.benchmark

lock: .venv/developer ## pin every package anew, with hashes
	@$(COMPILE) --all-extras --group dev --upgrade --output-file requirements.lock pyproject.toml
	@$(COMPILE) --extra embedded --extra guard --extra report --constraint requirements.lock --output-file requirements-runtime.lock pyproject.toml
	@$(COMPILE) --group build --constraint requirements.lock --output-file requirements-build.lock

clean: ## remove what the targets made, the demo's database included
	@rm -rf .venv .ops_pipeline docs/_build .mypy_cache .ruff_cache .hypothesis .import_linter_cache
