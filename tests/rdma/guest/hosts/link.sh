# A put from host to host; then one in whose middle the receiver's link is down for three seconds.

suite_link() {
  host_test put none 7010
  host_test link_down link_down 7020
  [ "$ROLE" = sender ] || payload_bytes=$((3 * host_put_bytes))  # a sender receives acknowledgements
}
