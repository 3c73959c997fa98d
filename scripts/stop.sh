#!/usr/bin/env bash
# stop.sh: stops the engine that run.sh started; its containers stop with it and are there again at the next start.
. "$(dirname "$0")/lib.sh"
[ -x .venv/bin/python ] || die "nothing is set up here; \`make run\` does it"
exec .venv/bin/python scripts/engine.py stop
