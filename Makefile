# Everything is installed into .venv by the first target that needs it. PYTHON may name another interpreter (3.11+).
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: sandbox test test-browser bench check lock clean help

help:
	@echo "make sandbox            the local workspace with everything, at http://localhost:4000"
	@echo "make sandbox JOURNEY=1  plays the whole journey and exits"
	@echo "make test               checks and the whole test suite"
	@echo "make test-browser       the browser tests (needs Chromium)"
	@echo "make bench [ONLY=name]  benchmarks, table and benchmarks/results.json"

sandbox: $(STAMP)
	$(BIN)/finetune sandbox $(if $(JOURNEY),--journey,)

test: $(STAMP) check
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test-browser: $(STAMP)
	$(BIN)/pip install --quiet --require-hashes -r requirements-browser.lock
	$(BIN)/python -m pytest -m browser

bench: $(STAMP)
	$(BIN)/pip install --quiet --require-hashes -r requirements-bench.lock
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY),)

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c "import sys; sys.exit('Python 3.11 or newer is needed; this is %d.%d. Try make PYTHON=python3.12' % sys.version_info[:2] if sys.version_info < (3, 11) else 0)"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(STAMP)

# Pins with hashes, for every platform and without any index's address. Needs uv, only here.
lock:
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements.lock
	uv pip compile pyproject.toml --extra bench --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -c requirements.lock -o requirements-bench.lock
	uv pip compile pyproject.toml --extra browser --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -c requirements.lock -o requirements-browser.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache
