# What the other scripts share: words, root's rights, stamps. Sourced, never run.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

# One folder holds what is fetched, so that a second checkout or a second run finds it.
export JUPYTER_EXT_CACHE="${JUPYTER_EXT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/jupyter_ext}"
export PIP_CACHE_DIR="${PIP_CACHE_DIR:-$JUPYTER_EXT_CACHE/pip}"
export YARN_GLOBAL_FOLDER="${YARN_GLOBAL_FOLDER:-$JUPYTER_EXT_CACHE/yarn}"
export PIP_DISABLE_PIP_VERSION_CHECK=1
export PATH="$root/.venv/bin:$PATH"
# Some images of containers set it; each server would then compile all of the package again when it starts.
unset PYTHONDONTWRITEBYTECODE

stamps="$root/.make"
mkdir -p "$stamps"

say() { printf '==> %s\n' "$*" >&2; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# Whether `as_root` can work at all; without a terminal sudo must not ask for a password.
can_be_root() {
  [ "$(id -u)" = 0 ] && return 0
  have sudo || return 1
  if [ -t 0 ]; then return 0; fi
  sudo -n true 2>/dev/null
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif [ -t 0 ]; then sudo "$@"; else sudo -n "$@"; fi
}

# fresh NAME HASH: is the step NAME done, with inputs of this hash?
fresh() { [ "$(cat "$stamps/$1" 2>/dev/null)" = "$2" ]; }
done_with() { printf '%s\n' "$2" >"$stamps/$1"; }

# The hash of files given on standard input, one name a line.
hash_of() { LC_ALL=C sort | tr '\n' '\0' | xargs -0 -r sha256sum | sha256sum | cut -d' ' -f1; }

# Two set-ups of one checkout at the same time would build in each other's folders.
one_at_a_time() {
  have flock || return 0
  exec 9>"$stamps/lock"
  flock -n 9 && return 0
  say "another set-up of this checkout is running; waiting for it"
  flock 9
}
