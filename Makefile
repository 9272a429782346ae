# `make help` lists the commands. Each makes the environment first if there is
# none, and again only if pyproject.toml or constraints.txt changed.

PYTHON ?= python3
FUZZ_SECONDS ?= 600
# Where uv looks for PyTorch when it writes the lock.
TORCH_FOR_LOCK ?= --torch-backend cpu
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed$(if $(LOCKED),-locked)
# One worker a core and one thread a worker; tests of one file, or of one page of the book, share
# what they set up, and come in the order of tests/conftest.py.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -W error --numprocesses auto \
	--dist loadfile --no-loadscope-reorder
# Markers of the tests that make test leaves to make test-all.
BEYOND := cluster or other_browser or two_builds

.DEFAULT_GOAL := help
.PHONY: help book lab figures slides print test test-all check bench fuzz lock links doctor clean

help:
	@echo "make book     execute the chapters that changed and build the pages"
	@echo "make lab      open the notebooks in JupyterLab"
	@echo "make test     run the tests; say how much of the package they reach, and which are slowest"
	@echo "make test-all run the tests that need a cluster or another browser, or execute chapters again and again"
	@echo "make check    lint, types, layers and the fast tests"
	@echo "make bench    measure speed and memory, and record it for the page on scale"
	@echo "make fuzz     feed random bytes to what reads files, FUZZ_SECONDS (600) for each reader"
	@echo "make lock     write requirements.lock and dependencies.csv anew from constraints.txt"
	@echo "make figures  write all figures as SVG and PNG"
	@echo "make slides   write slides of each chapter's findings and figures"
	@echo "make print    print the pages of all chapters to PDF, without solutions"
	@echo "make links    ask every other site that the pages link to whether the page is still there"
	@echo "make doctor   say what this machine has and lacks"
	@echo "make clean    remove everything that was made, except the environment"

# constraints.txt fixes versions and pyproject.toml says what is needed, on any system. With LOCKED=1,
# for Python 3.11 on Linux (x86-64, CPU), only files are installed whose hashes requirements.lock has;
# PIP_EXTRA_INDEX_URL then names the index of PyTorch's builds for the CPU, where pip does not know it.
$(STAMP): pyproject.toml constraints.txt $(if $(LOCKED),requirements.lock)
	@command -v $(PYTHON) >/dev/null || { \
	  echo "There is no '$(PYTHON)' here: install Python 3.11 or newer, or name one, for instance: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "'$(PYTHON)' is $$($(PYTHON) --version 2>&1), and Python 3.11 or newer is needed: name one, for instance: make PYTHON=python3.12" >&2; exit 1; }
	@$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV) || { \
	  echo "'$(PYTHON) -m venv' failed: install Python's venv module (on Debian: apt-get install python3-venv)." >&2; exit 1; }
	@echo "Installing the locked set of packages into $(VENV)"
ifdef LOCKED
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
else
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
endif
	@rm -f $(VENV)/.installed $(VENV)/.installed-locked
	@touch $(STAMP)

book: $(STAMP)
	@$(BIN)/rulbook build

lab: $(STAMP)
	@$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/notebooks

figures: $(STAMP)
	@$(BIN)/rulbook figures

slides: $(STAMP)
	@$(BIN)/rulbook slides

print: book
	@$(BIN)/rulbook print

test: $(STAMP)
	@$(PYTEST) -m "not ($(BEYOND))" --durations=20 --cov --cov-report=term:skip-covered

test-all: $(STAMP)
	@$(PYTEST) -m "$(BEYOND)" --durations=20

check: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/rulbook pair --check
	@$(PYTEST) -q -m "not (slow or browser or $(BEYOND))"

# RULBOOK_PEER names the Python of an environment that has rul-datasets, to be compared with.
bench: $(STAMP)
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/bench.py --record book/speed.json

# atheris has wheels for few versions of Python, so it is asked for here alone.
fuzz: $(STAMP)
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install --quiet -c constraints.txt atheris
	@for target in engines rul packed archive ledger record; do \
	  echo "Fuzzing $$target"; \
	  $(BIN)/python tests/fuzz/fuzz_readers.py $$target -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 || exit 1; \
	done

# uv resolves, and is asked for here alone. The newest release of each package is that for a newer
# Python than the oldest that the project takes.
lock: $(STAMP)
	@$(BIN)/python -c 'import uv' 2>/dev/null || $(BIN)/python -m pip install --quiet -c constraints.txt uv
	@$(BIN)/uv pip compile pyproject.toml --quiet --extra dev --constraint constraints.txt $(TORCH_FOR_LOCK) \
	  --python-version 3.11 --python-platform x86_64-manylinux_2_28 --generate-hashes --no-annotate \
	  --custom-compile-command "make lock" --output-file requirements.lock
	@mkdir -p _build && sed 's/==.*//' constraints.txt > _build/packages.in
	@$(BIN)/uv pip compile _build/packages.in --quiet --no-deps --upgrade --python-version 3.13 \
	  --python-platform x86_64-manylinux_2_28 --format pylock.toml --output-file _build/pylock.newest.toml
	@$(BIN)/python -m rulbook.publishing.dependencies _build/pylock.newest.toml

links: book
	@$(BIN)/jupyter-book build _build/staged --path-output _build/links --builder linkcheck

doctor: $(STAMP)
	@$(BIN)/rulbook doctor

clean:
	rm -rf _build figures .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage
