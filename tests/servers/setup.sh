#!/usr/bin/env bash
# Sets up what is needed beside cargo. What can't be had is named, and then nothing runs.
#   setup.sh                      what the tests need: Debian packages, Python's in .cache/servers and .cache/clients, the
#                                 page's tools, the driver of the window
#   setup.sh window               only what it takes to build the window and open it
#   setup.sh NAME REQUIREMENTS    only Python's packages of that file, in .cache/NAME
set -euo pipefail
cd "$(dirname "$0")/../.."

# venv NAME REQUIREMENTS: made anew when the requirements change
venv() {
  if cmp -s "$2" ".cache/$1/requirements.txt"; then return; fi
  echo "setting up .cache/$1"
  rm -rf ".cache/$1"
  python3 -m venv ".cache/$1"
  ".cache/$1/bin/pip" install --quiet --disable-pip-version-check --requirement "$2"
  cp "$2" ".cache/$1/requirements.txt"
}
mkdir -p .cache
if [ $# = 2 ]; then venv "$@"; exit; fi

# A file or command that shows that a package is there, and the package.
wanted="
cc build-essential
pkg-config pkg-config
python3 python3
/usr/lib/*/pkgconfig/webkit2gtk-4.1.pc libwebkit2gtk-4.1-dev
/usr/lib/*/libayatana-appindicator3.so.1 libayatana-appindicator3-1
"
if [ "${1:-}" != window ]; then wanted+="
curl curl
openssl openssl
setpriv util-linux
ip iproute2
dbus-daemon dbus
dbus-send dbus-bin
gnome-keyring-daemon gnome-keyring
secret-tool libsecret-tools
Xvfb xvfb
xclip xclip
strace strace
fusermount3 fuse3
zsh zsh
fish fish
rclone rclone
s3cmd s3cmd
chromium chromium
chromedriver chromium-driver
/usr/lib/*/faketime/libfaketimeMT.so.1 libfaketime
WebKitWebDriver webkit2gtk-driver
openbox openbox
xprop x11-utils
xdotool xdotool
wmctrl wmctrl
/usr/lib/python3/dist-packages/gi python3-gi
/usr/lib/*/girepository-1.0/Gtk-3.0.typelib gir1.2-gtk-3.0
desktop-file-validate desktop-file-utils
appstreamcli appstream
"; fi
missing=()
while read -r sign package; do
  if [ -n "$sign" ] && ! command -v "$sign" >/dev/null && ! compgen -G "$sign" >/dev/null; then missing+=("$package"); fi
done <<<"$wanted"
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then missing+=(python3-venv); fi

if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ]; then as_root=()
  elif sudo -n true 2>/dev/null; then as_root=(sudo -n)
  else
    echo "These packages are missing: ${missing[*]}. Install them: sudo apt-get install ${missing[*]}" >&2
    exit 1
  fi
  echo "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

ui/run.sh true
if [ "${1:-}" = window ]; then exit; fi

venv servers tests/servers/requirements.txt
venv clients tests/clients/requirements.txt
if ! [ -x .cache/tauri-driver-2.1.0/bin/tauri-driver ]; then
  cargo install --locked --version 2.1.0 --root .cache/tauri-driver-2.1.0 tauri-driver
fi
