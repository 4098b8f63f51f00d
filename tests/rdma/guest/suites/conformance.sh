# What every transport owes, over RDMA: the tests of tests/conformance, as `make test` runs them.

suite_conformance() {
  local program tests_run=0
  for program in "$BUILD"/tests/bin/conformance_*_test; do
    gtest 120 "$program" "*/$TRANSPORT:*/$TRANSPORT.*"
  done
  [ "$tests_run" -gt 0 ] || failed conformance "no test has a variant for the transport $TRANSPORT"
  payload_bytes=$((4 * (8 << 20)))  # of LargeBatchesOfLargePages alone
}
