#!/usr/bin/env bash
# run.sh [JUPYTERLAB'S ARGUMENTS]: the set-up, an engine where none answers, PostgreSQL's programs, then JupyterLab.
. "$(dirname "$0")/lib.sh"
scripts/setup.sh run
.venv/bin/python scripts/engine.py ensure || true
if ! compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null && ! have postgres && have apt-get && can_be_root; then
  scripts/packages.sh postgresql || true
fi
.venv/bin/python scripts/doctor.py || true

# given NAME…: was one of these options passed on? Jupyter refuses an option that comes twice.
given() {
  local option argument
  for option in "$@"; do
    for argument in "${arguments[@]}"; do
      case $argument in "--$option" | "--$option="*) return 0 ;; esac
    done
  done
  return 1
}
arguments=("$@")
options=()
given ip ServerApp.ip || options+=(--ip=127.0.0.1)
if [ "$(id -u)" = 0 ] && ! given allow-root ServerApp.allow_root; then options+=(--allow-root); fi
if [ -z "${DISPLAY-}${WAYLAND_DISPLAY-}" ] && [ "$(uname)" = Linux ] && ! given no-browser ServerApp.open_browser; then
  options+=(--no-browser)
fi
exec .venv/bin/jupyter lab "${options[@]}" "${arguments[@]}"
