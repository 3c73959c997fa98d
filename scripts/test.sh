#!/usr/bin/env bash
# test.sh [PYTEST'S ARGUMENTS]: the set-up, then the tests; an engine that should be there and is not is a failure.
# Without arguments, every test but the slow ones: what can share the machine in two processes, then the rest in one.
. "$(dirname "$0")/lib.sh"
scripts/setup.sh test
export JUPYTER_EXT_REQUIRE="${JUPYTER_EXT_REQUIRE-docker,postgres,registry,redis,browser,node,hub,gpus}"
export JUPYTER_EXT_FAILURES="$stamps/failures"
: >"$JUPYTER_EXT_FAILURES"

tests() { .venv/bin/python -m pytest "$@"; }

status=0
if [ $# -gt 0 ]; then
  tests "$@" || status=$?
else
  tests -m "not slow and not alone" -n 2 --dist loadfile || status=$?
  tests -m "not slow and alone" || status=$?
fi
# Last of all, since the end of a long run is what people are shown.
if [ -s "$JUPYTER_EXT_FAILURES" ]; then
  say "failed:"
  tail -n 30 "$JUPYTER_EXT_FAILURES" >&2
fi
exit $status
