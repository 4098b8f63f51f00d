#!/usr/bin/env bash
# Says what came out of the virtual machine; the last line and the exit status are those of run.sh.
#
#   tests/rdma/verdict.sh RESULTS QEMU_STATUS LIMIT_S
#
# RESULTS has a line for each test (`ok NAME`, `FAILED NAME: why`, `skipped NAME: why`), one for each suite
# (`counted SUITE transport=T rdma_bytes=N`), and `end` when the machine came to its end.
set -euo pipefail
results=${1:?} qemu_status=${2:?} limit_s=${3:?}

lost=
if [ "$qemu_status" -eq 124 ] || [ "$qemu_status" -eq 137 ]; then
  lost="the machine was stopped after its time limit of $limit_s s; more: --limit"
elif ! tr -d '\r' <"$results" | grep -qx end; then
  lost="the machine died before the suites were through (QEMU's exit status: $qemu_status)"
fi

tr -d '\r' <"$results" | awk -v lost="$lost" '
  $1 == "ok" { ++passed }
  $1 == "FAILED" { ++failed; failures[failed] = $0 }
  $1 == "skipped" { print "rdma-test: " $0 }
  $1 == "counted" {
    split($3, t, "="); split($4, b, "=")
    bytes += b[2]
    n = split(t[2], names, "+")
    for (i = 1; i <= n; ++i)
      if (names[i] != "none" && !(names[i] in seen)) {
        seen[names[i]] = 1
        transport = transport (transport ? "+" : "") names[i]
      }
  }
  END {
    if (lost) failures[++failed] = "FAILED machine: " lost
    if (!passed && !failed) failures[++failed] = "FAILED machine: no test ran"
    for (i = 1; i <= failed; ++i) print "rdma-test: " failures[i]
    printf "transport=%s rdma_bytes=%.0f passed=%d failed=%d\n", transport ? transport : "none", bytes, passed, failed
    exit failed > 0
  }'
