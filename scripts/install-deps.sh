#!/usr/bin/env bash
# Installs the Debian packages of scripts/packages.txt that are not there yet.
#
#   scripts/install-deps.sh [PACKAGE...]     (default: the list in packages.txt)
#
# Asks no questions; runs apt-get as root or through sudo. Does nothing, and
# prints nothing, when every package is installed.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
if [ "$#" -gt 0 ]; then
  wanted=("$@")
else
  mapfile -t wanted < <(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$here/packages.txt")
fi

missing=()
for package in "${wanted[@]}"; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing+=("$package")
done
[ "${#missing[@]}" -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || {
    echo "install-deps: not root and no sudo; install these packages by hand: ${missing[*]}" >&2
    exit 1
  }
  as_root=(sudo -n)
fi

echo "install-deps: installing ${#missing[@]} Debian package(s): ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
run() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive "$@" >"$log" 2>&1 || {
    cat "$log" >&2
    echo "install-deps: failed: $*" >&2
    exit 1
  }
}
run apt-get -q update
run apt-get -q -y --no-install-recommends install "${missing[@]}"
echo "install-deps: done"
