#!/usr/bin/env bash
# Waits for standard input to close, then stops every local store that a test left in FOLDER and removes FOLDER.
set -uo pipefail

folder=$1
trap '' INT TERM HUP
echo ready
cat >/dev/null
find "$folder" -name host.json -path '*/store/*' 2>/dev/null | while read -r host; do
  pid=$(sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' "$host")
  case $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null) in *lapse*store*run*) kill -9 "$pid" ;; esac
done
rm -rf "$folder" 2>/dev/null || { sleep 1; rm -rf "$folder"; } # a server may still be ending in it
