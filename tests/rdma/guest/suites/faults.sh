# Cables are pulled, processes stopped and killed, in the middle of puts.

suite_faults() {
  local program tests_run=0
  gtest 200 "$BUILD/tests/bin/fault_rdma_link_test" '*'
  # What a test that broke off left behind.
  restore_links
  gtest 200 "$BUILD/tests/bin/fault_stopped_sender_test" '*Ucx*'
  gtest 200 "$BUILD/tests/bin/fault_stopped_receiver_test" '*/ucx'
  # Prefillers, decoders and the proxy are killed and restarted, one after the other.
  check faults/soak 400 "$BUILD/bin/baton-soak" --rounds 5 --seed 1 --slowness 4 --transport ucx \
    --ucx-devices "${BATON_TEST_UCX_DEVICES// /,}" && tail -n 1 "$check_log"
  payload_bytes=$((tests_run * 150 * 65536))
}
