# Two commands, each of which alone sets a fresh Debian or Ubuntu machine with Python >= 3.11 up and does its job:
#
#   make demo     wear an emulated cockpit, drive a simulated humanoid, record, train, let the policy drive
#   make test     run every test
#
# PYTHON=/path/to/python3.12 picks the interpreter; DEMO_ARGS and TEST_ARGS go to `telerig demo` and to pytest.

PYTHON ?=
DEMO_ARGS ?=
TEST_ARGS ?=
export PYTHON

.PHONY: demo test setup check clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^#   //p' Makefile

demo:
	@.ci/setup all
	@.venv/bin/telerig demo $(DEMO_ARGS)

test:
	@.ci/setup all,dev
	@.venv/bin/python -m pytest $(TEST_ARGS)

# What CI checks beside the tests.
check:
	@.ci/setup all,dev
	@.ci/check

setup:
	@.ci/setup all,dev

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache demo-out
