#!/usr/bin/env bash
# jupysql.sh: fetches JupySQL into the cache, unless it is there, and prints its folder.
# Not into .venv: its part for JupyterLab would be in every browser test, and those who test without it would not know.
. "$(dirname "$0")/lib.sh"
# What .venv has already is not brought along.
packages=(jupysql==0.11.1 jupysql-plugin==0.4.5 prettytable==3.18.0 sqlparse==0.6.1 sqlglot==30.30.0 ipython-genutils==0.2.0
  ploomber-core==0.2.27 posthog==7.91.1 backoff==2.2.1 distro==1.9.0)
hash=$(echo scripts/jupysql.sh | hash_of)
folder="$JUPYTER_EXT_CACHE/jupysql/${hash:0:16}"
if [ ! -e "$folder/.done" ]; then
  say "fetching JupySQL"
  rm -rf "$folder"
  .venv/bin/python -m pip install -q --no-deps --target "$folder" "${packages[@]}" >&2
  touch "$folder/.done"
fi
echo "$folder"
