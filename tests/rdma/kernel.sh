#!/usr/bin/env bash
# Makes what the virtual machine of `make rdma-test` boots, from Debian's packages, which are unpacked
# and not installed: DIR/vmlinux, DIR/busybox and DIR/modules/, with the order to load them in.
#
#   tests/rdma/kernel.sh DIR        does nothing if all is there; remove DIR to get a newer kernel
set -euo pipefail

dir=${1:?usage: tests/rdma/kernel.sh DIR}
readonly modules=(crc32_generic rdma_rxe ib_uverbs rdma_ucm veth bridge
  sch_netem sch_ingress cls_flower act_gact virtio_pci virtio_net)

[[ $(cat "$dir/complete" 2>/dev/null) != *" ${modules[*]}" ]] || exit 0
rm -rf "$dir"
mkdir -p "$dir/packages" "$dir/unpacked" "$dir/modules"
cd "$dir"
log=$PWD/log

say() { echo "rdma-test: $*" >&2; }
die() {
  say "$@"
  [ ! -s "$log" ] || cat "$log" >&2
  exit 1
}

update_lists() {
  local as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
  "${as_root[@]}" apt-get -q update >"$log" 2>&1 || die "apt-get update failed"
}

# The meta package names the newest kernel; the cloud flavour would have no RDMA.
kernel_package() {
  apt-cache depends linux-image-amd64 2>/dev/null |
    sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*-amd64\)$/\1/p' | head -n 1
}

download() {
  package=$(kernel_package)
  [ -n "$package" ] || return 1
  (cd packages && apt-get -q download "$package" busybox-static) >"$log" 2>&1
}

# Uncompressed, it boots about 5 s sooner: the emulated processor would have to unpack it.
# The header's fields: Documentation/x86/boot.rst of Linux.
extract_vmlinux() {
  local image=$1 sectors offset bytes
  sectors=$(od -An -tu1 -j $((0x1f1)) -N1 "$image")
  offset=$(od -An -tu4 -j $((0x248)) -N4 "$image")
  bytes=$(od -An -tu4 -j $((0x24c)) -N4 "$image")
  dd if="$image" iflag=skip_bytes,count_bytes bs=1M status=none \
    skip=$(((sectors + 1) * 512 + offset)) count=$((bytes)) |
    xz --decompress --stdout --single-stream >vmlinux || die "the kernel's payload is no xz: $image"
}

# Prints the wanted modules and those they need, each after what it needs.
in_order() {
  awk -v wanted="${modules[*]}" '
    function visit(path, needs, n, i) {
      if (path in seen) return
      seen[path] = 1
      n = split(needed_by[path], needs, " ")
      for (i = n; i >= 1; --i) visit(needs[i])
      print path
    }
    {
      path = $1; sub(/:$/, "", path)
      name = path; sub(/.*\//, "", name); sub(/\.ko$/, "", name); gsub(/-/, "_", name)
      path_of[name] = path
      $1 = ""; needed_by[path] = $0
    }
    END {
      count = split(wanted, names, " ")
      for (k = 1; k <= count; ++k) {
        if (!(names[k] in path_of)) { print "no module " names[k] >"/dev/stderr"; exit 1 }
        visit(path_of[names[k]])
      }
    }' "$1"
}

say "downloading a kernel (about 70 MB)"
download || { update_lists && download; } || die "can't download Debian's kernel or busybox-static"

dpkg-deb --fsys-tarfile packages/busybox-static_*.deb | tar -xO ./bin/busybox >busybox
chmod 755 busybox
say "unpacking $package"
dpkg-deb --fsys-tarfile "packages/$package"_*.deb | tar -x -C unpacked --wildcards \
  './boot/vmlinuz-*' './lib/modules/*/modules.*' './lib/modules/*/kernel/drivers/infiniband/*' \
  './lib/modules/*/kernel/drivers/net/veth.ko' './lib/modules/*/kernel/drivers/virtio/*' \
  './lib/modules/*/kernel/drivers/net/virtio_net.ko' './lib/modules/*/kernel/drivers/net/net_failover.ko' \
  './lib/modules/*/kernel/net/*' \
  './lib/modules/*/kernel/fs/configfs/*' './lib/modules/*/kernel/lib/*' \
  './lib/modules/*/kernel/crypto/*' './lib/modules/*/kernel/arch/x86/crypto/*'
extract_vmlinux unpacked/boot/vmlinuz-*

version=${package#linux-image-}
tree=unpacked/lib/modules/$version
./busybox depmod -b unpacked "$version" >"$log" 2>&1 || die "depmod failed"
in_order "$tree/modules.dep" >paths || die "the kernel $version lacks a module"
while read -r path; do
  cp "$tree/$path" modules/
  basename "$path" >>modules/order
done <paths

rm -rf packages unpacked paths "$log"
echo "$version ${modules[*]}" >complete
