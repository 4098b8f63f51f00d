# The receiving machine is killed in the middle of a put; what its sender makes of it.

suite_death() {
  local line
  if [ "$ROLE" = sender ]; then
    host_test death death 7030
    return
  fi
  "$BUILD/bin/rdma_hosts_peer" receive death 7030 | while read -r line; do
    [ "$line" != reached ] || result kill_me  # the host reads that
  done
  failed death/receiver 'it was not killed'
}
