#!/usr/bin/env bash
# A session bus of its own with a real Secret Service (gnome-keyring), for as long as standard input stays open.
#   keyring.sh present    the default collection is there and open
#   keyring.sh locked     it is there and locked, and nobody is there to answer a prompt
#   keyring.sh absent     no Secret Service on the bus, and none that the bus could start
# Prints `DBUS_SESSION_BUS_ADDRESS=…` when it is ready. Then each line on standard input, `lock` or `unlock`,
# is done and answered by `done`. Needs: dbus, gnome-keyring.
set -euo pipefail

mode=$1
home=$(mktemp -d)
trap 'kill "${keyring:-}" "${bus:-}" 2>/dev/null || true; wait; rm -rf "$home"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
mkdir -m 700 -p "$home/run" "$home/.local/share/keyrings"
echo login >"$home/.local/share/keyrings/default"

# No service files: nothing is on this bus that was not started here.
cat >"$home/bus.conf" <<XML
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:dir=$home/run</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
XML
mkfifo "$home/address"
dbus-daemon --config-file="$home/bus.conf" --nofork --nopidfile --print-address=3 3>"$home/address" >"$home/bus.log" 2>&1 </dev/null & bus=$!
read -r DBUS_SESSION_BUS_ADDRESS <"$home/address"
export DBUS_SESSION_BUS_ADDRESS

secrets() { dbus-send --session --print-reply --dest=org.freedesktop.secrets /org/freedesktop/secrets "$@"; }
lock() { secrets org.freedesktop.Secret.Service.Lock array:objpath:/org/freedesktop/secrets/collection/login >/dev/null; }
unlock() { # the daemon opens its collection only at its own start
  if [ -n "${keyring:-}" ]; then kill "$keyring"; wait "$keyring" || true; fi
  printf %s throw-away-password | env -u XDG_DATA_HOME -u XDG_CONFIG_HOME HOME="$home" XDG_RUNTIME_DIR="$home/run" \
    gnome-keyring-daemon --foreground --unlock --components=secrets >"$home/keyring.log" 2>&1 & keyring=$!
  for _ in $(seq 200); do
    if secrets org.freedesktop.DBus.Peer.Ping >/dev/null 2>&1; then return; fi
    sleep 0.05
  done
  cat "$home/keyring.log" >&2
  exit 1
}

case $mode in
  present) unlock ;;
  locked) unlock; lock ;;
  absent) ;;
  *) sed -n '2,7p' "$0" >&2; exit 2 ;;
esac
echo "DBUS_SESSION_BUS_ADDRESS=$DBUS_SESSION_BUS_ADDRESS"
while read -r command; do
  case $command in lock) lock ;; unlock) unlock ;; esac
  echo done
done
