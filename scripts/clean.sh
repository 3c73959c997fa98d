#!/usr/bin/env bash
# clean.sh: takes away what the other scripts made in this checkout; what was made by users stays.
. "$(dirname "$0")/lib.sh"
rm -rf .venv "$stamps" build dist jupyter_ext/labextension jupyter_ext/api/static test-results \
  labextension/node_modules labextension/lib labextension/tsconfig.tsbuildinfo labextension/.eslintcache \
  .mypy_cache .ruff_cache .pytest_cache .hypothesis
find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
