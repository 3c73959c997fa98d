#!/usr/bin/env bash
# test.sh [PYTEST'S ARGUMENTS]: the set-up, then the tests; an engine that should be there and is not is a failure.
# Without arguments, every test but the slow ones: what can share the machine in two processes, then the rest in one.
. "$(dirname "$0")/lib.sh"
scripts/setup.sh test
export JUPYTER_EXT_REQUIRE="${JUPYTER_EXT_REQUIRE-docker,postgres,registry,redis,browser,node,hub,gpus}"

tests() { .venv/bin/python -m pytest "$@"; }

if [ $# -gt 0 ]; then
  tests "$@"
  exit
fi
status=0
tests -m "not slow and not alone" -n 2 --dist loadfile || status=$?
tests -m "not slow and alone" || status=$?
exit $status
