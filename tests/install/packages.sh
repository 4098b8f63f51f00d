#!/usr/bin/env bash
# Makes the Debian packages, installs them into a scratch root, and runs what is in them.
#
#   tests/install/packages.sh BUILD SOURCE COMPILER VERSION [LAUNCHER...]
build=$1 source=$2 compiler=$3 version=$4
launcher=("${@:5}")
# shellcheck source=tests/install/check.sh
. "$source/tests/install/check.sh"

(cd "$scratch" && cpack --config "$build/CPackConfig.cmake" -B "$scratch" >log 2>&1) || {
  cat "$scratch/log" >&2
  exit 1
}
packages=("$scratch"/*.deb)
[ "${#packages[@]}" -eq 3 ] || fail "three packages were expected: ${packages[*]}"

field() { dpkg-deb -f "$1" "$2"; }
for package in "${packages[@]}"; do
  name=$(field "$package" Package)
  [ "$(field "$package" Version)" = "$version-1" ] || fail "$name is of version $(field "$package" Version)"
  [ "$(field "$package" Maintainer)" = "Baton developers <baton@localhost>" ] || fail "$name: maintainer"
  grep -q 'KV cache handoff' <<<"$(field "$package" Description)" || fail "$name has no description"
  depends=$(field "$package" Depends)
  case $name in
    libbaton[0-9]*)
      library=$name
      grep -q 'libzmq5' <<<"$depends" && grep -q 'libabsl20220623' <<<"$depends" &&
        grep -q 'libc6' <<<"$depends" || fail "$name depends on: $depends"
      ;;
    libbaton-dev)
      grep -qE "libbaton[0-9.]+ \(= $version-1\), libabsl-dev" <<<"$depends" || fail "$name depends on: $depends"
      ;;
    baton) grep -q 'libsodium23' <<<"$depends" || fail "$name depends on: $depends" ;;
    *) fail "an unexpected package: $name" ;;
  esac
  # Owned by root, writable by nobody else, files that are programs or libraries or plain.
  dpkg-deb -c "$package" | grep -vE '^(drwxr-xr-x|-rw-r--r--|-rwxr-xr-x|lrwxrwxrwx) root/root ' &&
    fail "$name: owners and modes"
done

# Depends are the real machine's to fulfil; here the packages are unpacked and registered alone.
root=$scratch/root
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates"
touch "$root/var/lib/dpkg/status" "$root/var/lib/dpkg/available"
if [ "$(id -u)" -eq 0 ]; then
  # Not configured: what runs then is ldconfig, which would be this machine's.
  dpkg --root="$root" --force-depends --log="$scratch/dpkg.log" --unpack "${packages[@]}" \
    >"$scratch/log" 2>&1 || {
    cat "$scratch/log" >&2
    fail "dpkg could not unpack the packages"
  }
  for name in "$library" libbaton-dev baton; do
    state=$(dpkg-query --admindir="$root/var/lib/dpkg" -W -f '${db:Status-Status}' "$name")
    [ "$state" = unpacked ] || fail "$name is $state"
  done
  grep -qE "^libbaton [0-9.]+ $library \(>= $version-1\)$" "$root/var/lib/dpkg/info/$library.shlibs" ||
    fail "$library does not say who needs it (shlibs)"
else
  for package in "${packages[@]}"; do dpkg-deb -x "$package" "$root"; done
fi

libdir=$(dirname "$(find "$root/usr" -name 'libbaton.so')")
[ "$("$root/usr/bin/baton" --version)" = "baton $version" ] || fail "baton --version"
for name in "$library" libbaton-dev baton; do
  [ -s "$root/usr/share/doc/$name/copyright" ] || fail "$name has no copyright file"
done
for binary in "$root/usr/bin/baton" "$(readlink -f "$libdir/libbaton.so")"; do
  expect_no_paths "$binary"
  named=$(strings -a "$binary" | grep -F "$source" | sort -u || true)
  [ -z "$named" ] || fail "$binary names the sources' folder:"$'\n'"$named"
done

export PKG_CONFIG_PATH=$libdir/pkgconfig
compile_consumer "$compiler" "$scratch/consumer"
LD_LIBRARY_PATH=$libdir "$scratch/consumer" || fail "the consumer"
finish
