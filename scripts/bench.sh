#!/usr/bin/env bash
# bench.sh [NAME…]: the benchmarks, or those named.
. "$(dirname "$0")/lib.sh"
scripts/setup.sh test
scripts/packages.sh wrk
exec .venv/bin/python -m benchmarks "$@"
