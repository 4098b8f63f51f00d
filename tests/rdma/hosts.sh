#!/usr/bin/env bash
# Boots two virtual machines with a soft-RoCE device each, joined by a cable as two hosts, and hands chunks
# from the one to the other over RDMA: undisturbed, with the receiver's link down, and with the receiving
# machine killed.
#
#   tests/rdma/hosts.sh [OPTION]...
#     --build DIR        where Baton is built (default: build)
#     --limit SECONDS    how long the machines may run (default: 600)
#     --help
#
#   Example: tests/rdma/hosts.sh --limit 300
#
# The last line and the exit status are those of run.sh.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/machine.sh"

build=build limit_s=600
while [ "$#" -gt 0 ]; do
  case $1 in
    --help) show_help; exit 0 ;;
    --build | --limit) ;;
    *) usage_error "what is '$1'?" ;;
  esac
  [ "$#" -ge 2 ] || usage_error "$1 needs a value"
  case $1 in
    --build) build=$2 ;;
    --limit) limit_s=$2 ;;
  esac
  shift 2
done
check_limit "$limit_s"
make_image "$build"

cd "$out"  # so the cable's ends have paths short enough for a socket's
rm -f cable.sender cable.receiver

# boot_host ROLE OTHER MAC. 4500: RoCE packets of 4096 bytes and their headers. A cable of datagrams: what is
# sent to a dead machine is lost, as on a real one; README.md says what a stream did.
boot_host() {
  boot "results.$1" "$limit_s" "ROLE=$1 SUITES=link,death TRANSPORT=ucx" \
    -netdev "dgram,id=cable,local.type=unix,local.path=cable.$1,remote.type=unix,remote.path=cable.$2" \
    -device "virtio-net-pci,netdev=cable,host_mtu=4500,mac=$3,romfile=" > >(exec sed -u "s/\r//g; s/^/$1: /")
}

say "booting two machines; time limit: $limit_s s"
started_s=$SECONDS
boot_host receiver sender 02:00:00:00:00:02
receiver=${machine_pids[0]}
boot_host sender receiver 02:00:00:00:00:01
sender=${machine_pids[1]}

receiver_status=0
{
  while read -r line; do
    if [ "$line" = kill_me ]; then
      kill -KILL "$receiver"  # QEMU dies with what started it
      say "killed the receiving machine"
    fi
  done < <(exec tail -n +1 -f --pid="$receiver" results.receiver | sed -u 's/\r//g')
  wait "$receiver" || receiver_status=$?
} 2>/dev/null  # bash would say that it was killed
sender_status=0
wait "$sender" || sender_status=$?
machine_pids=()
say "the machines ran for $((SECONDS - started_s)) s"

# The sender comes to its end, the receiver must not.
{
  cat results.sender
  sed 's/\r//g; /^end$/d' results.receiver
  [ "$receiver_status" -eq $((128 + 9)) ] || echo "FAILED receiver: the machine was not killed, its status is $receiver_status"
} >results
"$here/verdict.sh" results "$sender_status" "$limit_s"
