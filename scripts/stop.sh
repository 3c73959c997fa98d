#!/usr/bin/env bash
# stop.sh: stops what goes on when JupyterLab has ended: the databases, and the engine that run.sh started.
# All of it is there again at the next start.
. "$(dirname "$0")/lib.sh"
[ -x .venv/bin/python ] || die "nothing is set up here; \`make run\` does it"
.venv/bin/python scripts/cluster.py stop || true
exec .venv/bin/python scripts/engine.py stop
