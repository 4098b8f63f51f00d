# What run.sh and hosts.sh have in common: virtual machines, made and ended. For sourcing, with $here set.

readonly skip_status=77
readonly packages=(binutils ibverbs-providers ibverbs-utils iproute2 qemu-system-x86 ucx-utils xz-utils)

say() { echo "rdma-test: $*"; }
usage_error() {
  echo "rdma-test: $*; see tests/rdma/${0##*/} --help" >&2
  exit 2
}
show_help() { sed -n '2,/^set /s/^# \{0,1\}//p' "$0"; }
check_limit() {
  [[ $1 =~ ^[1-9][0-9]{0,4}$ ]] || usage_error "--limit is '$1', not 1 to 99999 seconds"
}

skip() {
  say "skipped: $*"
  exit "$skip_status"
}

# make_image BUILD: the machines' file system. Sets $build, $out and $machine, the command of one machine.
make_image() {
  [ -e "$1/tests/rdma/programs.txt" ] || usage_error "nothing is built in '$1': run make rdma-test"
  build=$(realpath "$1")
  out=$build/rdma
  [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] ||
    skip "the machine is for Linux on x86-64, this is $(uname -s) on $(uname -m)"
  command -v apt-get >/dev/null || skip "the machine is made from Debian's packages, and here is no apt-get"
  "$here/../../scripts/install-deps.sh" "${packages[@]}" ||
    skip "QEMU or what else the machine needs can't be installed: ${packages[*]}"
  end_machines_at_exit
  "$here/kernel.sh" "$out/kernel"
  "$here/image.sh" "$build"
  # Emulated always: a /dev/kvm that opens may still hang in a nested guest.
  machine=(qemu-system-x86_64 -machine q35 -accel "tcg,thread=multi" -cpu max -smp 2 -m 2048
    -nodefaults -no-reboot -display none -kernel "$out/kernel/vmlinux" -initrd "$out/initrd")
}
readonly kernel_options="console=ttyS0 panic=-1 quiet mitigations=off nokaslr"

# The machines end with this script, whatever ends the script.
machine_pids=()
end_machines() {
  [ "${#machine_pids[@]}" -gt 0 ] || return 0
  kill "${machine_pids[@]}" 2>/dev/null || true
  wait "${machine_pids[@]}" 2>/dev/null || true
}
end_machines_at_exit() {
  trap end_machines EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

# boot RESULTS LIMIT_S OPTIONS [QEMU_ARGUMENT...]: in the background, as ${machine_pids[-1]}; OPTIONS are for the
# kernel's command line. The second serial line has the results alone: nothing that the kernel says can garble them.
boot() {
  local results=$1 limit_s=$2 options=$3
  shift 3
  : >"$results"
  setpriv --pdeathsig TERM timeout --kill-after 5 "$limit_s" setpriv --pdeathsig KILL \
    "${machine[@]}" "$@" -serial stdio -serial "file:$results" -append "$kernel_options $options" </dev/null 2>&1 &
  machine_pids+=($!)
}
