# Two commands do all: `make run` starts JupyterLab with the extension, `make test` runs the tests.
# Both set up what they need first, which takes seconds when nothing changed. `make help` lists all.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run stop test faults check bench dist clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\): ## /  make \1\t/p' Makefile | expand -t 16

run: ## set up and start JupyterLab on 127.0.0.1:8888 (ARGS="--port=9999 --no-browser" goes to it)
	@scripts/run.sh $(ARGS)

stop: ## stop the databases, and the Docker engine that `make run` started
	@scripts/stop.sh

test: ## set up and run every test but the slow ones, real engines included (ARGS goes to pytest)
	@scripts/test.sh $(if $(ARGS),-m "not slow" $(ARGS))

faults: ## the long fault and soak runs
	@scripts/test.sh -m slow --timeout=1800 $(ARGS)

check: ## ruff, mypy, eslint, prettier, tsc
	@scripts/check.sh

bench: ## measure what the documentation claims, side by side with what it is compared to
	@scripts/bench.sh $(ARGS)

dist: ## build the wheel and the source distribution into dist/
	@scripts/setup.sh test && .venv/bin/python -m build --no-isolation

clean: ## take away what was built or installed in this checkout (never JUPYTER_EXT_HOME or the cache)
	@scripts/clean.sh
