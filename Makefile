# Everything that is done with this checkout, set-up included. What must be there before:
#
#     apt-get install -y git make python3-venv
#
# Paths are relative and programs are run as modules, since a checkout may lie in a folder whose
# name has spaces in it. The network is needed once; stamps remember what has been set up, and for
# which folder, so that a checkout which was moved is set up anew.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
UV_VERSION := 0.13.9
# More than there are cores: tests wait for servers and crowds at times.
PYTEST_PROCESSES ?= 3
SKIPPED := build/skipped.txt
PLACE := $(shell pwd | cksum | cut -d ' ' -f 1)

UV := .uv/bin/uv
RUN := .venv/bin/python
UV_STAMP := .uv/.ready-$(UV_VERSION)
RUN_STAMP := .venv/.ready-to-run-$(PLACE)
ALL_STAMP := .venv/.ready-to-work-$(PLACE)
UNFINISHED := .uv/.unfinished
NODE_STAMP := clients/node-gate/node_modules/.ready

# The caller's own virtual environment and settings of uv are none of our business; nor is that she
# wants no bytecode: each process would compile everything anew, which is two thirds of its start.
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH PYTHONDONTWRITEBYTECODE
export UV_COMPILE_BYTECODE := 1
export UV_PYTHON := $(PYTHON)
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := .venv
export UV_LINK_MODE := copy
export UV_NO_PROGRESS := 1
# The system's certificates where there are any: behind a company's proxy only they are right.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt),)
export UV_SYSTEM_CERTS := 1
endif
# A user without a home of her own keeps the downloads in the checkout.
ifneq ($(shell mkdir -p "$${XDG_CACHE_HOME:-$$HOME/.cache}/uv" 2>/dev/null && \
	test -w "$${XDG_CACHE_HOME:-$$HOME/.cache}/uv" && echo yes),yes)
export UV_CACHE_DIR := .uv/cache
export PIP_NO_CACHE_DIR := 1
endif

.PHONY: help demo test tools durations browsers pythons search node bench bench-room bench-crowd compare chaos chaos-room linearizability lint fmt clean

help:  ## Say what can be made
	@echo 'make demo    sell out a concert to a crowd, and check the result'
	@echo 'make test    check style, types and layers, and run all tests; TOOLS=1 fails if one is skipped'
	@echo 'make tools   install what tests are skipped without: Chromium, k6, Kafka and others'
	@echo 'make lint    check style, types and layers only'
	@echo 'make fmt     format the code'
	@echo 'make pythons run the unit tests with every Python from 3.11 on that is found here'
	@echo 'make node    test the gate for Node with Express and its types (needs Node 18 and npm)'
	@echo 'make durations  run all tests, and keep how long each file takes: the suite is ordered by it'
	@echo 'make clean   remove what was set up and built'
	@echo
	@echo 'Campaigns, of which the tests have a small version each, and how long they take on two cores:'
	@echo 'make browsers   2 min  all there is with a browser, the long waits too (needs Chromium)'
	@echo 'make chaos      2 min  kill workers, PostgreSQL and supervisor in mid-sale, and count what is lost'
	@echo 'make chaos-room  5 min  the same while visitors join a waiting room and enter it'
	@echo 'make linearizability  (not timed yet)  record histories of small sales under kills, for porcupine (needs Go)'
	@echo 'make search    (not timed yet)  run the property tests with new examples, TIMES=20 times over'
	@echo 'make bench     40 min  measure against the peers (needs wrk)'
	@echo 'make bench-room  20 min  measure the waiting room alone (needs wrk)'
	@echo 'make bench-crowd  5 min  measure the crowd of a rehearsal against other HTTP clients'
	@echo 'make compare BASE=main ONLY=seats_64,seats_512  25 min for all parts  this checkout and another revision, in turns'

demo: $(RUN_STAMP)  ## DEMO="--visitors 2000 --seats 200" gives options
	@mkdir -p build
	@$(RUN) -m sunseo demo --report build/demo.html $(DEMO)

PYTEST := $(RUN) -m pytest -n $(PYTEST_PROCESSES) --dist loadfile

test: lint  ## TEST="tests/unit -k lane" chooses tests; TOOLS=1 fails if one is skipped
ifeq ($(TEST),)
	@PYTEST_PROCESSES=$(PYTEST_PROCESSES) $(RUN) -m tests.pythons second $(SKIPPED)
	$(PYTEST) --skipped-before=$(SKIPPED) $(if $(TOOLS),--no-skips)
else
	$(PYTEST) $(if $(TOOLS),--no-skips) $(TEST)
endif

# As root on Debian; everything that is no package of Debian's goes into .tools in this folder.
tools: $(ALL_STAMP)
	@sh tests/tools/install.sh
	@$(MAKE) --no-print-directory $(NODE_STAMP)

durations: $(ALL_STAMP)
	$(PYTEST)
	cp build/durations.json tests/durations.json

# Those that wait for minutes of a page's time are left out of the tests.
browsers: $(ALL_STAMP)  ## TEST="-k twenty" chooses tests
	$(PYTEST) --campaigns --no-skips tests/acceptance/test_browser_*.py tests/acceptance/test_room_page.py \
		tests/attacks/test_page_attacks.py $(TEST)

pythons: $(ALL_STAMP)
	@PYTEST_PROCESSES=$(PYTEST_PROCESSES) $(RUN) -m tests.pythons all

TIMES ?= 20
search: $(ALL_STAMP)  ## TIMES=5 TEST="tests/unit" chooses how often and which
	@files=$$(grep -rl --include='*.py' 'given(' $(or $(TEST),tests)) && \
	for time in $$(seq $(TIMES)); do \
		echo "search $$time of $(TIMES)" && \
		$(RUN) -m pytest -q -n $(PYTEST_PROCESSES) --hypothesis-profile=search $$files || exit 1; \
	done

node: $(NODE_STAMP)
	cd clients/node-gate && npm test && npm run types

bench: $(ALL_STAMP)  ## BENCH="--quick" gives options
	$(RUN) -m bench.run $(BENCH)

bench-room: $(ALL_STAMP)  ## BENCH="--quick" gives options
	$(RUN) -m bench.room $(BENCH)

bench-crowd: $(ALL_STAMP)  ## BENCH="--quick" gives options
	$(RUN) -m bench.crowd $(BENCH)

# ROOM=visits,polls compares parts of the room's benchmark; RUNS=5 SECONDS=4 JSON=file are options.
compare: $(ALL_STAMP)  ## BASE=main ONLY=seats_64 ROOM=polls chooses what with what
	@$(RUN) -m bench.compare --base='$(BASE)' --only='$(ONLY)' --room='$(ROOM)' \
		$(if $(RUNS),--runs='$(RUNS)') $(if $(SECONDS),--seconds='$(SECONDS)') \
		$(if $(JSON),--json-file='$(JSON)') $(COMPARE)

chaos: $(ALL_STAMP)  ## CHAOS="--kills 100" gives options
	$(RUN) -m chaos.run $(CHAOS)

chaos-room: $(ALL_STAMP)  ## CHAOS_ROOM="--kills 200 --workers 1" gives options
	$(RUN) -m chaos.room $(CHAOS_ROOM)

linearizability: $(ALL_STAMP)  ## LINEARIZABILITY="--histories 10 --defect lock" gives options
	@$(RUN) -m chaos.linearizability $(LINEARIZABILITY)

lint: $(ALL_STAMP)
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy
	$(RUN) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'

fmt: $(ALL_STAMP)
	$(RUN) -m ruff check --fix
	$(RUN) -m ruff format

clean:
	rm -rf .venv .pythons .tools .uv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf clients/node-gate/node_modules
	find src tests bench chaos -name __pycache__ -type d -prune -exec rm -rf {} +

# What is needed to run Sunseo; then what is needed to work on it.
$(RUN_STAMP): pyproject.toml packages/gate/pyproject.toml uv.lock $(UV_STAMP)
	@echo 'Setting up .venv ...'
	@$(call sync,--no-default-groups --inexact)
	@touch $@

$(ALL_STAMP): $(RUN_STAMP)
	@$(call sync,--all-groups)
	@touch $@

# For tests only: the gate itself depends on nothing.
$(NODE_STAMP): clients/node-gate/package.json clients/node-gate/package-lock.json
	cd clients/node-gate && npm ci --no-audit --no-fund
	@touch $@

# From what was downloaded before where that is enough, so that an edit needs no network. A set-up
# that was cut off may have left a package half copied, which uv would take for whole ever after.
sync = test ! -e $(UNFINISHED) || rm -rf .venv; touch $(UNFINISHED); \
	{ $(UV) sync --quiet --locked --offline $(1) 2>/dev/null || $(UV) sync --quiet --locked $(1); } \
	&& rm -f $(UNFINISHED)

$(UV_STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo 'Sunseo needs Python 3.11 or newer as "$(PYTHON)"; here is:' \
			"$$($(PYTHON) --version 2>&1 || true)" >&2; \
		echo 'Another one can be named: make PYTHON=python3.12 ...' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo 'This Python has no venv. On Debian: apt-get install -y git make python3-venv' >&2; \
		exit 1; }
	@echo 'Fetching uv $(UV_VERSION) ...'
	@$(PYTHON) -m venv --clear .uv
	@.uv/bin/python -m pip install --quiet --disable-pip-version-check 'uv==$(UV_VERSION)' || { \
		echo 'uv could not be fetched: the first time needs the network.' >&2; exit 1; }
	@touch $@
