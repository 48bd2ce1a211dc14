#!/usr/bin/env bash
# An X screen that nobody sees, with a window manager, and a WebDriver that opens windows on it, for as long as standard
# input stays open. Whatever it opened ends with it.
#   window.sh PORT NATIVE_PORT [FOLDER]    two free ports, the first one is to be spoken to; a folder for the screen's
#                                          memory, where whoever watches it sees each pixel without asking
# Prints `DISPLAY=:N` when all of it is ready. Needs: xvfb, openbox, x11-utils, webkit2gtk-driver, tauri-driver.
set -euo pipefail

driver=$(cd "$(dirname "$0")/../.." && pwd)/.cache/tauri-driver-2.1.0/bin/tauri-driver
logs=$(mktemp -d)
end() {
  # The driver and all that it started are a group of their own.
  if [ -n "${group:-}" ]; then kill -- "-$group" 2>/dev/null || true; fi
  kill "${manager:-}" "${server:-}" 2>/dev/null || true
  wait
  rm -rf "$logs"
}
trap end EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

# until_so PID LOG COMMAND…: until it succeeds; tells the log when it never does
until_so() {
  local pid=$1 log=$2
  shift 2
  for _ in $(seq 400); do
    if "$@" 2>/dev/null; then return; fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.05
  done
  cat "$log" >&2
  exit 1
}

# The X server picks a free number itself, and writes it when it takes clients.
Xvfb -displayfd 3 -screen 0 1280x900x24 -nolisten tcp -noreset ${3:+-fbdir "$3"} 3>"$logs/number" >"$logs/screen" 2>&1 </dev/null & server=$!
until_so "$server" "$logs/screen" test -s "$logs/number"
DISPLAY=:$(tr -d '\n' <"$logs/number")
export DISPLAY GDK_BACKEND=x11 NO_AT_BRIDGE=1
unset WAYLAND_DISPLAY XAUTHORITY

openbox >"$logs/manager" 2>&1 </dev/null & manager=$!
managed() { xprop -root _NET_SUPPORTING_WM_CHECK | grep -q 0x; }
until_so "$manager" "$logs/manager" managed

setsid "$driver" --port "$1" --native-port "$2" --native-driver "$(command -v WebKitWebDriver)" >"$logs/driver" 2>&1 </dev/null & group=$!
# It answers before the driver behind it does.
for port in "$1" "$2"; do until_so "$group" "$logs/driver" bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"; done
echo "DISPLAY=$DISPLAY"
cat >/dev/null
