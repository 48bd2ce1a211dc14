#!/usr/bin/env bash
# An X screen that nobody sees, for as long as standard input stays open. Prints `DISPLAY=:N` when it is ready. Needs: xvfb.
set -euo pipefail

log=$(mktemp)
number=$(mktemp)
trap 'kill "${server:-}" 2>/dev/null || true; wait; rm -f "$log" "$number"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

# The X server picks a free number itself, and writes it when it takes clients.
Xvfb -displayfd 3 -screen 0 1280x800x24 -nolisten tcp -noreset 3>"$number" >"$log" 2>&1 </dev/null & server=$!
for _ in $(seq 200); do
  if [ -s "$number" ] || ! kill -0 "$server" 2>/dev/null; then break; fi
  sleep 0.05
done
if ! [ -s "$number" ]; then cat "$log" >&2; exit 1; fi
echo "DISPLAY=:$(tr -d '\n' <"$number")"
cat >/dev/null
