PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
BENCH_READY := .venv-bench/ready

.PHONY: demo test chaos mass mass-full fuzz mutants test-node test-ui deploy production bench bench-full test-bench check format docs histories lock clean

demo: $(READY) ## Watch a wallet leave custody (KEEP=1 stays up afterwards).
	@$(BIN)/python demo.py

test: $(READY) ## The tests of every change, on a real Temporal server that ends with them.
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

chaos: $(READY) ## Everything at every place: every fault at every call, every death at every point.
	@$(BIN)/python -m pytest -m chaos -n 4 --dist load
	@$(BIN)/python -m docs.reliability

mass: $(READY) ## 500 ejects at once, and a mass exit of 2,000 through kills, against Portal's published budgets.
	@$(BIN)/python -m pytest -s -m mass tests/test_mass_eject.py tests/test_mass_exit_whole.py

mass-full: $(READY) ## The histories of a mass exit of 100,000 stubs; CLIENTS=5000 for fewer.
	@$(BIN)/python -m pytest -s -m mass tests/test_mass_exit_bounds.py

SEED ?= 0
fuzz: $(READY) ## More than 100,000 generated bundles and shares, and odd inputs of every other kind.
	@$(BIN)/python -m pytest -n 2 --dist load --hypothesis-profile=fuzz --hypothesis-seed=$(SEED) tests/properties $(ONLY)
	@$(BIN)/python -m docs.reliability

test-node: $(READY) ## A Node program with the official SDK; npm fetches it.
	@$(BIN)/python -m pytest -m node -rs tests/test_node.py

test-ui: $(READY) ## What people see in the Temporal UI, in a real Chromium.
	@$(BIN)/python -m pytest -m ui -rs tests/ui

deploy: $(READY) ## Validators of everything under deploy/, and its scripts against what they speak to.
	@$(BIN)/python -m pytest -m deploy -rs tests/deploy

production: $(READY) ## A deployment's parts together: S3, TLS, Prometheus.
	@$(BIN)/python -m pytest -m production -rs

mutants: $(READY) ## Break each promise in a copy of the tree: a test must go red.
	@$(BIN)/python -m tests.mutants
	@$(BIN)/python -m docs.reliability

test-bench: $(READY) $(BENCH_READY) ## Each engine of the bench leads a few ejects to their end.
	@$(BIN)/python -m pytest -m bench -rs tests/test_bench.py

bench: $(READY) $(BENCH_READY) ## Ours beside bare Temporal, DBOS and asyncio; the table, bench/results.json.
	@$(BIN)/python -m bench

bench-full: $(READY) $(BENCH_READY) ## More ejects of each; ten thousand windows; ten thousand closes.
	@$(BIN)/python -m bench --full
	@$(BIN)/python -m bench.windows
	@$(BIN)/python -m bench.closes

check: $(READY) ## Format, lint and strict types.
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: $(READY)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

histories: $(READY) ## What the workflow does in each scenario; KEEP=name keeps what is recorded now.
	@$(BIN)/python -m tests.histories $(if $(KEEP),--keep $(KEEP))

docs: $(READY) ## What the pages take from the code.
	@$(BIN)/python -m docs.messages
	@$(BIN)/python -m docs.settings
	@$(BIN)/python -m docs.contradictions
	@$(BIN)/python -m docs.reliability
	@$(BIN)/python -m docs.performance

# The lock files change only here; the set-up below installs nothing that they do not name by hash.
lock:
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url --no-header \
		pyproject.toml --extra codec --extra traces -o requirements/worker.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url --no-header \
		pyproject.toml --all-extras --group dev -o requirements/dev.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url --no-header \
		pyproject.toml --extra sandbox --extra device -c requirements/dev.txt -o requirements/sandbox.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url --no-header \
		--group bench -c requirements/dev.txt -o requirements/bench.txt

$(READY): requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: install it, or name it with PYTHON=..."; exit 1; }
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

# Apart from the others: DBOS brings much that nothing else here needs.
$(BENCH_READY): requirements/bench.txt
	@test -d .venv-bench || $(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $@

clean:
	rm -rf $(VENV) .venv-bench .pytest_cache .mypy_cache .ruff_cache
