#!/usr/bin/env bash
# Makes the first file system of the virtual machine, BUILD/rdma/initrd: what tests/rdma/guest has, the
# programs under test with their libraries, all at the paths that they have here, and the tools that
# the suites use. Three archives in a row, of which only what changed is made again.
#
#   tests/rdma/image.sh BUILD
set -euo pipefail

build=$(realpath "${1:?usage: tests/rdma/image.sh BUILD}")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$build/rdma
busybox=$out/kernel/busybox
trap 'echo "rdma-test: making the image failed: $BASH_COMMAND" >&2' ERR
set -E

# add ROOT FILE...: the files and the libraries that they name.
add() {
  local root=$1 file path
  shift
  for file in "$@"; do
    put "$root" "$file" "$file"
    { ldd "$file" 2>/dev/null || true; } | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }'
  done | sort -u | while read -r path; do put "$root" "$path" "$path"; done
}

# put ROOT FROM TO: without debug information, which is most of a test program.
put() {
  local root=$1 from=$2 to=$1$3
  [ -e "$to" ] && return
  mkdir -p "${to%/*}"
  case $(head -c 4 "$from" | od -An -c) in
    *E*L*F*) strip --strip-debug -o "$to" "$from" ;;
    *) cp -L "$from" "$to" ;;
  esac
}

# A root whose /bin, /lib, /lib64 and /sbin lead into /usr, as Debian's do.
new_root() {
  rm -rf "$1"
  mkdir -p "$1"/usr/{bin,lib,lib64,sbin}
  local name
  for name in bin lib lib64 sbin; do ln -s "usr/$name" "$1/$name"; done
}

archive() {
  (cd "$1" && find . -print | "$busybox" cpio --quiet -o -H newc) >"$2.new"
  rm -rf "$1"
  mv "$2.new" "$2"
}

tools() {
  local root=$out/root-tools libs driver tool
  new_root "$root"
  add "$root" /bin/bash
  put "$root" "$busybox" /bb/busybox
  for tool in ip tc rdma ucx_info ucx_perftest ibv_devinfo ibv_rc_pingpong; do
    add "$root" "$(PATH=$PATH:/usr/sbin:/sbin type -P "$tool")"
  done
  # Loaded by name at run time, so that no program lists them: UCX's modules, the driver of rxe.
  libs=$(dirname "$(realpath "$(ldd "$(type -P ibv_devinfo)" | awk '/libibverbs/ { print $3 }')")")
  driver=$(echo "$libs"/libibverbs/librxe-rdmav*.so)
  add "$root" "$libs"/ucx/libu*.so.0 "$driver"
  put "$root" /etc/libibverbs.d/rxe.driver /etc/libibverbs.d/rxe.driver
  mkdir -p "$root/modules"
  cp "$out"/kernel/modules/* "$root/modules/"
  mkdir -p "$root/usr/share/common-licenses"
  cp -L /usr/share/common-licenses/* "$root/usr/share/common-licenses"  # what `baton demo` reads
  archive "$root" "$out/tools.cpio"
}

programs() {
  local root=$out/root-programs file
  new_root "$root"
  while read -r file; do
    add "$root" "$file"
  done <"$build/tests/rdma/programs.txt"
  archive "$root" "$out/programs.cpio"
}

guest() {
  local root=$out/root-guest
  rm -rf "$root"
  mkdir -p "$root"/{dev,etc,proc,root,run,sys,tmp,rdma}
  cp -r "$here/guest/." "$root/rdma"
  ln -s rdma/init "$root/init"
  echo 'root:x:0:0:root:/root:/bin/bash' >"$root/etc/passwd"
  echo '127.0.0.1 localhost' >"$root/etc/hosts"
  echo "BUILD=$build" >"$root/rdma/build"
  archive "$root" "$out/guest.cpio"
}

# What the tools' archive is made from: a new package or script makes a new one.
tools_key() {
  cat "${BASH_SOURCE[0]}" "$out"/kernel/modules/*
  dpkg-query -W -f '${Package} ${Version}\n' bash ibverbs-providers ibverbs-utils iproute2 \
    libibverbs1 libucx0 ucx-utils
}

programs_are_current() {
  [ -e "$out/programs.cpio" ] || return 1
  local file files
  mapfile -t files <"$build/tests/rdma/programs.txt"
  for file in "$build/tests/rdma/programs.txt" "${BASH_SOURCE[0]}" "${files[@]}"; do
    [ ! "$file" -nt "$out/programs.cpio" ] || return 1
  done
}

key=$(tools_key | sha256sum)
if [ "$(cat "$out/tools.key" 2>/dev/null)" != "$key" ] || [ ! -e "$out/tools.cpio" ]; then
  tools
  echo "$key" >"$out/tools.key"
fi
programs_are_current || programs
guest
cat "$out"/{tools,programs,guest}.cpio >"$out/initrd.new"
mv "$out/initrd.new" "$out/initrd"
