#!/usr/bin/env bash
# Fetches the prebuilt llama.cpp that Baton's engine is tested with: libraries and headers.
#
#   scripts/fetch-llama.sh [CACHE_ROOT]              fetch unless it is there; prints its directory
#   scripts/fetch-llama.sh --print-dir [CACHE_ROOT]  print the directory, fetch nothing
#
# CACHE_ROOT defaults to ${XDG_CACHE_HOME:-$HOME/.cache}/baton. The directory gets include/, lib/
# and LICENSE, in one rename: it is complete or absent. Both packages are pinned by SHA-256.
# Needs no compiler. Progress goes to standard error; standard output has the directory only.
set -euo pipefail

readonly version=3.22.1  # of node-llama-cpp, which carries llama.cpp v0.5.0
readonly libs_package=@node-llama-cpp/linux-x64@$version
readonly libs_sha256=0d953e1503d5ab4608d8ed5b739132308c81ac05ffeb760d2a7f30e08a9f90e0
readonly headers_package=node-llama-cpp@$version
readonly headers_sha256=a0d9dd80eacd2ab1cfe71aee57ac8a806487fd70b3d2a38fbec637752d9e5c5f
readonly download_limit_s=600

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

say() { echo "fetch-llama: $*" >&2; }
die() { say "$@"; exit 1; }

# need COMMAND PACKAGE: installs the Debian package if the command is missing.
need() {
  command -v "$1" >/dev/null && return
  say "no '$1' here; installing Debian's package '$2'"
  "$here/install-deps.sh" "$2" >&2 || die "could not install '$2', which provides '$1'"
}

# pack PACKAGE SHA256 DIR: downloads a package's tarball into DIR, checks it, prints its path.
pack() {
  local package=$1 expected=$2 dir=$3 tarball actual
  say "downloading $package"
  mkdir "$dir"
  timeout "$download_limit_s" npm pack --loglevel=error --pack-destination "$dir" "$package" >/dev/null ||
    die "'npm pack $package' failed (limit ${download_limit_s} s): is the npm registry reachable?"
  tarball=$(find "$dir" -name '*.tgz' -print -quit)
  [ -n "$tarball" ] || die "'npm pack $package' left no tarball in $dir"
  actual=$(sha256sum "$tarball" | cut -d ' ' -f 1)
  [ "$actual" = "$expected" ] ||
    die "$package is not what was tested: SHA-256 is $actual, expected $expected; nothing was kept"
  echo "$tarball"
}

# The libraries that Baton loads: not the Node.js add-on, not llama.cpp's command line helpers.
extract_libs() {
  local tarball=$1 target=$2 inside=package/bins/linux-x64
  mkdir -p "$target"
  tar -xzf "$tarball" -C "$target" --strip-components=3 --wildcards \
    "$inside/libllama.v*.so" "$inside/libggml.v*.so" \
    "$inside/libggml-base.so" "$inside/libggml-cpu-*.so"
  chmod 755 "$target"/*.so
}

# The headers are in the git bundle of llama.cpp's sources that the package carries.
extract_headers() {
  local tarball=$1 target=$2 scratch=$3
  mkdir -p "$target" "$scratch"
  tar -xzf "$tarball" -C "$scratch" --strip-components=2 package/llama/gitRelease.bundle
  git clone --quiet --bare "$scratch/gitRelease.bundle" "$scratch/llama.git"
  git -C "$scratch/llama.git" archive HEAD include | tar -x -C "$target" --strip-components=1
  git -C "$scratch/llama.git" archive HEAD ggml/include | tar -x -C "$target" --strip-components=2
  git -C "$scratch/llama.git" show HEAD:LICENSE >"$target/../LICENSE"
}

print_only=false
if [ "${1:-}" = --print-dir ]; then
  print_only=true
  shift
fi
[ "$#" -le 1 ] || die "usage: fetch-llama.sh [--print-dir] [CACHE_ROOT]"
cache_root=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/baton}
# Named by both pins: another pin is another directory.
final=$cache_root/llama-$version-${libs_sha256:0:8}${headers_sha256:0:8}

if $print_only || [ -e "$final/include/llama.h" ]; then
  echo "$final"
  exit 0
fi

[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] ||
  die "the prebuilt llama.cpp is for Linux on x86-64, this is $(uname -s) on $(uname -m):" \
    "install llama.cpp where CMake finds it, or configure with -DBATON_WITH_LLAMA=OFF"
need npm npm
need git git

mkdir -p "$cache_root"
work=$(mktemp -d "$cache_root/.fetch-llama.XXXXXX")  # same file system: the rename is atomic
trap 'rm -rf "$work"' EXIT

libs=$(pack "$libs_package" "$libs_sha256" "$work/libs-download")
headers=$(pack "$headers_package" "$headers_sha256" "$work/headers-download")
say "extracting"
extract_libs "$libs" "$work/out/lib"
extract_headers "$headers" "$work/out/include" "$work/scratch"

# Somebody else may have been faster; theirs is as good.
mv -T "$work/out" "$final" 2>/dev/null || [ -e "$final/include/llama.h" ] ||
  die "could not move the result to $final"
say "llama.cpp is in $final"
echo "$final"
