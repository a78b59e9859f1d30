# everloop: `make demo` installs and runs the whole loop; `make help` lists the rest.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
INSTALLED_SPARK := $(VENV)/.installed-spark
PYTHONS := python3.13 python3.12 python3.11 python3
NEEDED := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

# What people's shells may hold that would put packages elsewhere, leave them out, or slow every import down.
unexport PYTHONDONTWRITEBYTECODE PYTHONHOME PYTHONPATH VIRTUAL_ENV CONDA_PREFIX
unexport PIP_TARGET PIP_PREFIX PIP_ROOT PIP_USER PIP_REQUIRE_VIRTUALENV PIP_CONSTRAINT PIP_REQUIREMENT PIP_DRY_RUN
unexport PIP_NO_INDEX PIP_NO_DEPS PIP_NO_BINARY PIP_ONLY_BINARY PIP_PYTHON PIP_CONFIG_FILE
unexport UV_TARGET UV_PREFIX UV_CONSTRAINT UV_OVERRIDE UV_OFFLINE UV_NO_INDEX UV_NO_DEPS UV_PYTHON UV_SYSTEM_PYTHON
UV := env VIRTUAL_ENV=$(CURDIR)/$(VENV) UV_HTTP_TIMEOUT=180 $(BIN)/uv

# What waits for a whole stack runs beside the rest. XGBoost's idle threads must not spin meanwhile on what the other one needs.
APART := tests/docs tests/stack tests/workflow tests/benchmarks tests/adapters/spark
test: export OMP_WAIT_POLICY = PASSIVE

.PHONY: help install install-dev install-spark bench bench-serve mutants demo test screenshots check up down status logs lock clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z -]+:.*## / {printf "  make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: install  ## Start everything and run the whole loop on real flights
	@$(BIN)/everloop demo

up down status: install  ## Start, stop or show the local stack
	@$(BIN)/everloop $@

logs: install  ## Show a part's log: make logs PART=scheduler
	@$(BIN)/everloop logs $(PART)

test: install-dev  ## Run all tests but those of the browser
	@apart=$$(mktemp); $(BIN)/pytest -q -m "not browser" $(APART) >$$apart 2>&1 & \
	$(BIN)/pytest -q -m "not browser" $(addprefix --ignore=,$(APART)); rest=$$?; \
	wait $$!; stack=$$?; cat $$apart; rm $$apart; exit $$((rest || stack))

bench-serve: install-dev  ## Compare the scoring service with its peers (needs wrk)
	$(BIN)/python -m benchmarks.serve

bench: install-dev  ## Run a benchmark, both sides, and renew its result: make bench NAME=point_in_time_join
	$(BIN)/python -m benchmarks.$(NAME)

mutants: install-dev  ## Change decide/ a little in every place and see whether its tests notice: make mutants FILES="verdict watch/retrain"
	$(BIN)/python -m benchmarks.mutants $(FILES)

screenshots: install-dev  ## Look at what `make demo` left up, with chromium, and renew docs/images
	$(BIN)/pytest -q tests/browser -m browser

check: install-dev  ## Lint, formats, types, layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

install: $(INSTALLED)  ## Make .venv with what requirements.txt locks

install-dev: $(INSTALLED_DEV)

install-spark: $(INSTALLED_SPARK)  ## Add Spark (needs Java 17), for data past one machine

$(INSTALLED): requirements.txt
	@set -e; for python in $(PYTHONS); do \
	  if $$python -c '$(NEEDED)' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "everloop needs Python 3.11 or newer with venv: none of $(PYTHONS) is one (on Debian: apt-get install python3-venv)" >&2; exit 1; \
	fi; \
	if ! $(BIN)/python -c '$(NEEDED)' 2>/dev/null; then echo "Making $(VENV) with $$($$found -V)"; $$found -m venv --clear $(VENV); fi
	@awk '/^uv==/ {keep = 1} keep {print} keep && !/\\$$/ {exit}' requirements.txt > $(VENV)/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt
	@echo "Installing what requirements.txt locks (2 GB; less than a minute on a fast line)"
	@$(UV) pip install --quiet --require-hashes --compile-bytecode -r requirements.txt
	@$(BIN)/python -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "everloop.pth").write_text("$(CURDIR)/plugins\n")'
	@printf '%s\n' '#!$(CURDIR)/$(BIN)/python' 'from everloop.cli import main' 'main()' > $(BIN)/everloop
	@chmod +x $(BIN)/everloop
	@$(BIN)/python -m compileall -q -j0 plugins dags feature_repo
	@touch $@

$(INSTALLED_DEV): requirements-dev.txt requirements-spark.txt $(INSTALLED)
	@$(UV) pip install --quiet --require-hashes --compile-bytecode -r requirements-dev.txt
	@$(UV) pip install --quiet --require-hashes --compile-bytecode -r requirements-spark.txt
	@touch $@

$(INSTALLED_SPARK): requirements-spark.txt $(INSTALLED)
	@$(UV) pip install --quiet --require-hashes --compile-bytecode -r requirements-spark.txt
	@touch $@

lock: install  ## Resolve all requirements again
	$(UV) pip compile --universal -p 3.11 --generate-hashes requirements.in -o requirements.txt
	$(UV) pip compile --universal -p 3.11 --generate-hashes requirements-dev.in -o requirements-dev.txt
	$(UV) pip compile --universal -p 3.11 --generate-hashes requirements-spark.in -o requirements-spark.txt
	$(UV) pip compile --universal -p 3.11 --generate-hashes -c requirements.txt --no-emit-package nvidia-nccl-cu12 \
	  --no-emit-package nvidia-nccl-cu13 docker/scorer.in -o docker/scorer.txt
	$(UV) pip compile --universal -p 3.11 --generate-hashes -c requirements.txt docker/tracing.in -o docker/tracing.txt

clean:  ## Stop the stack and delete its state and all caches; .venv stays
	@if [ -x $(BIN)/everloop ]; then $(BIN)/everloop down --forget; fi
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis demo-report.json
	@find plugins dags feature_repo tests -name __pycache__ -type d -prune -exec rm -rf {} +
