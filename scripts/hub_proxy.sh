#!/usr/bin/env bash
# hub_proxy.sh: fetches JupyterHub's proxy into the cache, unless it is there, and prints its program.
. "$(dirname "$0")/lib.sh"
source=tests/engines/hub_proxy
hash=$(find $source -type f | hash_of)
folder="$JUPYTER_EXT_CACHE/hub-proxy/${hash:0:16}"
program="$folder/node_modules/configurable-http-proxy/bin/configurable-http-proxy"
if [ ! -e "$folder/.done" ]; then
  say "fetching JupyterHub's proxy"
  rm -rf "$folder"
  mkdir -p "$folder"
  cp -r $source/. "$folder"
  (cd "$folder" && jlpm install --immutable) >"$stamps/hub_proxy.log" 2>&1 ||
    { cat "$stamps/hub_proxy.log" >&2; die "jlpm could not fetch JupyterHub's proxy"; }
  touch "$folder/.done"
fi
echo "$program"
