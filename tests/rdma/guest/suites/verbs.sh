# The machine itself: verbs and UCX's own put test between two devices. When this fails, no other result
# means anything. All its packets pass the switch, so that all counters must agree.

suite_verbs() {
  local size count
  check verbs/devices 20 ibv_devinfo || return

  ibv_rc_pingpong -d rxe1 -g 0 -s 65536 -n 100 >/tmp/server.log 2>&1 &
  await 10 listens 18515
  check verbs/rc_pingpong 60 ibv_rc_pingpong -d rxe0 -g 0 -s 65536 -n 100 127.0.0.1
  wait
  payload_bytes=$((payload_bytes + 2 * 65536 * 100))

  export UCX_TLS=rc_verbs,ud_verbs
  while read -r size count; do
    UCX_NET_DEVICES=rxe1:1 timeout 60 ucx_perftest -t ucp_put_bw >/tmp/server.log 2>&1 &
    await 10 listens 13337
    UCX_NET_DEVICES=rxe0:1 check "verbs/ucp_put_bw/$size" 60 \
      ucx_perftest 127.0.0.1 -t ucp_put_bw -s "$size" -n "$count" -w 1 && tail -n 1 "$check_log"
    wait
    payload_bytes=$((payload_bytes + size * count))
  done <<<$'65536 100\n8388608 2'
  unset UCX_TLS
  counters_agree
}

listens() { netstat -ltn | grep -q ":$1 "; }

counters_agree() {
  (
    stop_counting
    [ "$received_bytes" -gt 0 ] && [ "$received_bytes" -eq "$frame_bytes" ] &&
      [ "$received_packets" -eq "$frame_packets" ] && [ "$received_packets" -eq "$device_packets" ]
  ) && ok verbs/counters || failed verbs/counters 'they differ, see below'
}
