#!/usr/bin/env bash
# panel.sh build|install|lint: the TypeScript half. `build` does nothing while its sources are the same.
. "$(dirname "$0")/lib.sh"

built=jupyter_ext/labextension
installed=.venv/share/jupyter/labextensions/jupyter-ext

sources() {
  find labextension -type d \( -name node_modules -o -name lib -o -name .yarn \) -prune -o -type f \
    ! -name '*.tsbuildinfo' ! -name '.eslintcache' -print
  echo jupyter_ext/_version.py
}

dependencies() {
  local hash
  hash=$(find labextension -name node_modules -prune -o \( -name package.json -o -name yarn.lock -o -name .yarnrc.yml \) -print | hash_of)
  if [ -d labextension/node_modules ] && fresh node_modules "$hash"; then return; fi
  say "fetching the panel's dependencies"
  (cd labextension && jlpm install --immutable) >"$stamps/jlpm.log" 2>&1 ||
    { cat "$stamps/jlpm.log" >&2; die "jlpm could not fetch the panel's dependencies"; }
  done_with node_modules "$hash"
}

case ${1:-build} in
  build)
    hash=$(sources | hash_of)
    if [ -f $built/package.json ] && [ -d jupyter_ext/api/static ] && fresh panel "$hash"; then exit 0; fi
    dependencies
    say "building the panel"
    rm -rf "$built"
    (cd labextension && jlpm run build:prod) >"$stamps/panel.log" 2>&1 ||
      { cat "$stamps/panel.log" >&2; die "the panel does not build"; }
    done_with panel "$hash"
    ;;
  install)
    # Jupyter looks below .venv; pip copied what was built when the package was installed.
    if [ -L $installed ]; then exit 0; fi
    # diff's own status would make the pipe fail just where there is a difference.
    if { diff -rq "$built" "$installed" 2>/dev/null || true; } | grep -qv 'install.json'; then
      rm -rf "$installed"
    fi
    if [ ! -e $installed ]; then
      mkdir -p "$(dirname $installed)"
      cp -r $built $installed
      cp install.json $installed/
    fi
    ;;
  lint)
    dependencies
    cd labextension && jlpm run lint:check && jlpm exec tsc --noEmit && jlpm exec tsc --noEmit -p tsconfig.test.json
    ;;
  *) die "panel.sh build|install|lint" ;;
esac
