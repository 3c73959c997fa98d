#!/usr/bin/env bash
# check.sh: every static check, each one run even when one before it failed.
. "$(dirname "$0")/lib.sh"
scripts/setup.sh test
failed=()
step() { say "$*"; "$@" || failed+=("$1 ${2-}"); }
step ruff check .
step ruff format --check .
step mypy
step scripts/panel.sh lint
[ ${#failed[@]} = 0 ] || die "failed: $(printf '%s; ' "${failed[@]}")"
say "all checks passed"
