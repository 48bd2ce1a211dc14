#!/usr/bin/env bash
# Draws every picture in this folder from icon.svg and tray.svg.
set -euo pipefail
cd "$(dirname "$0")"
draw() { ../ui/run.sh tauri icon "$@" >/dev/null; }
drawn=$(mktemp -d)
trap 'rm -rf "$drawn"' EXIT

draw icon.svg --output "$drawn/icon"
for name in 32x32.png 128x128.png 128x128@2x.png icon.png icon.icns icon.ico; do cp "$drawn/icon/$name" .; done

# macOS recolors the tray's; elsewhere the tray shows the program's.
draw tray.svg --png 44 --output "$drawn"
cp "$drawn/44x44.png" tray.png
