#!/usr/bin/env bash
# Boots a virtual machine with soft-RoCE devices, runs Baton's programs over RDMA in it, and powers off.
#
#   tests/rdma/run.sh [OPTION]...
#     --build DIR        where Baton is built (default: build)
#     --suite A[,B...]   which of tests/rdma/guest/suites to run (default: all)
#     --transport NAME   Baton's transport under test (default: ucx)
#     --limit SECONDS    how long the machine may run (default: 900)
#     --shell            boot, set up the devices, and give you a shell; `exit` powers off
#     --help
#
#   Example: tests/rdma/run.sh --suite conformance --limit 300
#
# The last line is `transport=… rdma_bytes=… passed=N failed=N`. Exit status: 0 if all passed over RDMA,
# 1 if not, 2 for wrong arguments, 77 if there can be no such machine here, with the reason.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly skip_status=77
readonly packages=(binutils ibverbs-providers ibverbs-utils iproute2 qemu-system-x86 ucx-utils xz-utils)

say() { echo "rdma-test: $*"; }
usage_error() {
  echo "rdma-test: $*; see tests/rdma/run.sh --help" >&2
  exit 2
}

build=build suites='' transport=ucx limit_s=900 shell=
while [ "$#" -gt 0 ]; do
  case $1 in
    --help) sed -n '2,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    --shell) shell=1; shift; continue ;;
    --build | --suite | --transport | --limit) ;;
    *) usage_error "what is '$1'?" ;;
  esac
  [ "$#" -ge 2 ] || usage_error "$1 needs a value"
  case $1 in
    --build) build=$2 ;;
    --suite) suites=$2 ;;
    --transport) transport=$2 ;;
    --limit) limit_s=$2 ;;
  esac
  shift 2
done
[[ $limit_s =~ ^[1-9][0-9]{0,4}$ ]] || usage_error "--limit is '$limit_s', not 1 to 99999 seconds"
[[ $transport =~ ^[a-z]+$ ]] || usage_error "--transport is '$transport', not a transport's name"
# verbs first: when it fails, no other result means anything.
known=$(cd "$here/guest/suites" && printf '%s\n' verbs.sh *.sh | sed 's/\.sh$//' | awk '!seen[$0]++' | paste -sd ,)
: "${suites:=$known}"
for suite in ${suites//,/ }; do
  [[ ,$known, == *,$suite,* ]] || usage_error "no suite '$suite'; there are: ${known//,/, }"
done
[ -e "$build/tests/rdma/programs.txt" ] || usage_error "nothing is built in '$build': run make rdma-test"
build=$(realpath "$build")
out=$build/rdma

skip() {
  say "skipped: $*"
  exit "$skip_status"
}
[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] ||
  skip "the machine is for Linux on x86-64, this is $(uname -s) on $(uname -m)"
command -v apt-get >/dev/null || skip "the machine is made from Debian's packages, and here is no apt-get"
"$here/../../scripts/install-deps.sh" "${packages[@]}" ||
  skip "QEMU or what else the machine needs can't be installed: ${packages[*]}"

# QEMU ends with this script, whatever ends the script.
qemu_pid=
end_qemu() {
  [ -z "$qemu_pid" ] || kill "$qemu_pid" 2>/dev/null || true
  [ -z "$qemu_pid" ] || wait "$qemu_pid" 2>/dev/null || true
}
trap end_qemu EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

"$here/kernel.sh" "$out/kernel"
"$here/image.sh" "$build"

# Emulated always: a /dev/kvm that opens may still hang in a nested guest.
machine=(qemu-system-x86_64 -machine q35 -accel "tcg,thread=multi" -cpu max -smp 2 -m 2048
  -nodefaults -no-reboot -display none -kernel "$out/kernel/vmlinux" -initrd "$out/initrd")
[ -z "$shell" ] || suites=shell
command_line="console=ttyS0 panic=-1 quiet mitigations=off nokaslr SUITES=$suites TRANSPORT=$transport"
if [ -n "$shell" ]; then
  exec "${machine[@]}" -serial stdio -append "$command_line"
fi

# The second serial line has the results alone: nothing that the kernel says can garble them.
results=$out/results
rm -f "$results"
say "booting; suites: ${suites//,/, }; time limit: $limit_s s"
started_s=$SECONDS
setpriv --pdeathsig TERM timeout --kill-after 5 "$limit_s" setpriv --pdeathsig KILL \
  "${machine[@]}" -serial stdio -serial "file:$results" -append "$command_line" \
  </dev/null > >(exec sed -u 's/\r//g') 2>&1 &
qemu_pid=$!
qemu_status=0
wait "$qemu_pid" || qemu_status=$?
qemu_pid=
say "the machine ran for $((SECONDS - started_s)) s"

touch "$results"
exec "$here/verdict.sh" "$results" "$qemu_status" "$limit_s"
