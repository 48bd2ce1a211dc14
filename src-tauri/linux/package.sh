#!/usr/bin/env bash
# Builds a Debian package of the window and the command line, and prints its path.
#   package.sh [debug]    with that word: unoptimized, in a quarter of the time
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
# The whole workspace at once, where the tests build it too: one set of features, so each dependency is built once.
if [ "${1:-}" = debug ]; then profile=debug bundler=(--debug) scope=(--workspace) flags=(--workspace)
else profile=release bundler=() scope=(--package lapse-desktop) flags=(--release --package lapse-cli)
fi

# The page first: the window is built with it inside.
ui/run.sh npm --prefix ui run --silent build >&2
cargo build --locked "${flags[@]}" >&2
package=.cache/package
mkdir -p "$package"
cp "$target/$profile/lapse" "$package/lapse"
"$package/lapse" completions bash >"$package/lapse.bash"
"$package/lapse" completions zsh >"$package/_lapse"
"$package/lapse" completions fish >"$package/lapse.fish"
rm -rf "$target/$profile/bundle"
ui/run.sh tauri build --ci "${bundler[@]}" --bundles deb -- --locked "${scope[@]}" >&2
ls -t "$target/$profile/bundle/deb"/*.deb | head -n 1
