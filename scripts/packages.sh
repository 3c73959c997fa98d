#!/usr/bin/env bash
# packages.sh PACKAGE…: installs what is missing by apt, with no service started by it.
. "$(dirname "$0")/lib.sh"

missing=()
if have dpkg-query; then
  for package in "$@"; do
    state=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [ "$state" = "install ok installed" ] || missing+=("$package")
  done
else
  warn "this is neither Debian nor Ubuntu: see to it yourself that these are installed: $*"
  exit 0
fi
[ ${#missing[@]} = 0 ] && exit 0

can_be_root || die "these packages are missing: ${missing[*]}. Install them: sudo apt-get install ${missing[*]}"
say "installing ${missing[*]}"

# The tests start their own engines; a package's own service would take its port or socket. Only a
# file that this script made is taken away again.
policy=${POLICY_RC_D:-/usr/sbin/policy-rc.d}
if [ ! -e "$policy" ]; then
  trap 'as_root rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
  as_root chmod 755 "$policy"
fi
log="$stamps/apt.log"
apt() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 \
    -o Acquire::Retries=3 "$@" </dev/null >"$log" 2>&1 9>&- || { cat "$log" >&2; return 1; }
}
apt update || warn "apt-get update failed; trying with the lists that are there"
apt install --no-install-recommends "${missing[@]}" || die "apt-get could not install ${missing[*]}"
