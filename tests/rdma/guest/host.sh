# One of two machines, joined by a cable: rxe0 on the network card. What RDMA carries goes by the IPv6 link-local
# address (GID 0), ZeroMQ and the beginnings of ucx connections by these, which exist in the machines alone.
readonly kSenderAddress=10.77.0.1 kReceiverAddress=10.77.0.2

become_host() {
  local own=$kSenderAddress other=$kReceiverAddress
  [ "$1" = sender ] || own=$kReceiverAddress other=$kSenderAddress
  ip link set lo up
  echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad  # nobody else can have our addresses
  ip address add "$own/24" dev eth0
  ip link set eth0 up
  rdma link add rxe0 type rxe netdev eth0 || give_up 'no device rxe0'
  count_frames eth0
  await 20 is_active rxe0 && await 20 has_link_local eth0 || give_up 'rxe0 did not come up'
  await 60 ping -c 1 -W 1 "$other" || give_up 'the other machine does not answer'
}

# host_test NAME FAULT PORT: this host's part in a test.
host_test() {
  local action=receive
  if [ "$ROLE" = sender ]; then
    action=send
    if ! timeout 60 bash -c "until : <>/dev/tcp/$kReceiverAddress/$3; do sleep 0.1; done" 2>/dev/null; then
      failed "$1/$ROLE" "nobody listens at $kReceiverAddress:$3"
      return
    fi
  fi
  check "$1/$ROLE" 280 "$BUILD/bin/rdma_hosts_peer" "$action" "$2" "$3" && cat "$check_log"
}
readonly host_put_bytes=$((150 * 65536))
