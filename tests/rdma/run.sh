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
. "$here/machine.sh"

build=build suites='' transport=ucx limit_s=900 shell=
while [ "$#" -gt 0 ]; do
  case $1 in
    --help) show_help; exit 0 ;;
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
check_limit "$limit_s"
[[ $transport =~ ^[a-z]+$ ]] || usage_error "--transport is '$transport', not a transport's name"
# verbs first: when it fails, no other result means anything.
known=$(cd "$here/guest/suites" && printf '%s\n' verbs.sh *.sh | sed 's/\.sh$//' | awk '!seen[$0]++' | paste -sd ,)
: "${suites:=$known}"
for suite in ${suites//,/ }; do
  [[ ,$known, == *,$suite,* ]] || usage_error "no suite '$suite'; there are: ${known//,/, }"
done
make_image "$build"

[ -z "$shell" ] || suites=shell
options="SUITES=$suites TRANSPORT=$transport"
if [ -n "$shell" ]; then
  exec "${machine[@]}" -serial stdio -append "$kernel_options $options"
fi

results=$out/results
say "booting; suites: ${suites//,/, }; time limit: $limit_s s"
started_s=$SECONDS
boot "$results" "$limit_s" "$options" > >(exec sed -u 's/\r//g')
qemu_status=0
wait "${machine_pids[0]}" || qemu_status=$?
machine_pids=()
say "the machine ran for $((SECONDS - started_s)) s"

exec "$here/verdict.sh" "$results" "$qemu_status" "$limit_s"
