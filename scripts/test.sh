#!/usr/bin/env bash
# test.sh [PYTEST'S ARGUMENTS]: the set-up, then the tests; an engine that should be there and is not is a failure.
. "$(dirname "$0")/lib.sh"
scripts/setup.sh test
export JUPYTER_EXT_REQUIRE="${JUPYTER_EXT_REQUIRE-docker,postgres,registry,redis,browser,node,hub}"
exec .venv/bin/python -m pytest "$@"
