# What a peer costs on this device, for docs/rdma.md: nothing that a test could judge.

suite_cost() {
  check cost/fence 120 "$BUILD/bin/baton-fence" --transport ucx --peers 8 && cat "$check_log"
  payload_bytes=$((4 * 65536))  # the writers that are fenced in the middle
}
