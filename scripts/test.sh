#!/usr/bin/env bash
# test.sh [PYTEST'S ARGUMENTS]: the set-up, then the tests; an engine that should be there and is not is a failure.
# Without arguments, every test but the slow ones, in three processes where each can have a network of its own: engines beside
# each other would take each other's addresses, and Chromium drops its connections whenever a network comes or goes.
. "$(dirname "$0")/lib.sh"
scripts/setup.sh test
export JUPYTER_EXT_REQUIRE="${JUPYTER_EXT_REQUIRE-docker,postgres,restic,registry,redis,browser,node,hub,gpus,systemd}"
export JUPYTER_EXT_FAILURES="$stamps/failures"
: >"$JUPYTER_EXT_FAILURES"

tests() { .venv/bin/python -m pytest "$@"; }

status=0
if [ $# -gt 0 ]; then
  tests "$@" || status=$?
else
  # In the machine's own network, and first: what it fetched is there for the others.
  tests -m "not slow and download" || status=$?
  apart=()
  if unshare --net true 2>/dev/null; then
    apart=(--tx "3*popen//python=$root/scripts/own-network.sh" --dist loadfile --no-loadscope-reorder)
  else
    warn "all tests run in one process: several need networks of their own, which only root may make"
  fi
  tests -m "not slow and not download" "${apart[@]}" --durations=40 || status=$?
fi
# Last of all, since the end of a long run is what people are shown.
if [ -s "$JUPYTER_EXT_FAILURES" ]; then
  say "failed:"
  tail -n 30 "$JUPYTER_EXT_FAILURES" >&2
fi
exit $status
