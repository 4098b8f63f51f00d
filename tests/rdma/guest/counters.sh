# What proves that bytes went over RDMA. Linux 6.1's rxe counts packets, not bytes, so two counters stand
# together: the bytes of the RoCE v2 frames (UDP port 4791 over IPv6) that each switch port took in from
# its device, and the packets that each rxe device says it has sent. TCP moves neither: it has another
# protocol number, and over loopback it never comes to a port. Frames that are nobody's RDMA fail the
# second: there must not be more of them than packets that the devices sent.

readonly kRoceUdpPort=4791
# Of each packet: IPv6 40, UDP 8, base transport header 12, checksum 4. (tc counts no Ethernet header
# of what comes in.) What remains is payload, and the extended headers, 4 to 16 bytes in some packets.
readonly kHeaderBytes=64

count_frames() {
  tc qdisc add dev "$1" clsact
  tc filter add dev "$1" ingress protocol ipv6 flower ip_proto udp dst_port $kRoceUdpPort action ok
}

# Prints the sums over all ports: bytes, then frames.
counted_frames() {
  local port
  for port in /sys/class/net/port*; do
    tc -s filter show dev "${port##*/}" ingress
  done | awk '$1 == "Sent" { bytes += $2; frames += $4 } END { printf "%.0f %.0f\n", bytes, frames }'
}

# device_counter NAME: its sum over all rxe devices.
device_counter() {
  cat /sys/class/infiniband/rxe*/ports/1/hw_counters/"$1" | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}

# UCX says into these files which transports and devices it uses.
readonly kUcxLogs=/tmp/ucx
export UCX_LOG_LEVEL=info UCX_LOG_FILE=$kUcxLogs/%p.log

# The transports, as UCX names them, that carry puts and gets: `rc_verbs`, several joined by `+`, or `none`.
ucx_transports() {
  cat "$kUcxLogs"/*.log 2>/dev/null | sed -n 's/.*ep_cfg\[.*rma(\([^)]*\)).*/\1/p' | tr ' ' '\n' |
    sed 's|/.*||' | sort -u | paste -sd + | sed 's/^$/none/'
}

start_counting() {
  rm -rf "$kUcxLogs"
  mkdir -p "$kUcxLogs"
  payload_bytes=0  # a suite sets it to what its tests must have moved at least
  bytes_before=$(counted_frames)
  sent_before=$(device_counter sent_pkts)
}

end_counting() {
  local suite=$1 before after frames sent bytes transports
  read -ra before <<<"$bytes_before"
  read -ra after <<<"$(counted_frames)"
  frames=$((after[1] - before[1]))
  bytes=$((after[0] - before[0] - frames * kHeaderBytes))
  sent=$(($(device_counter sent_pkts) - sent_before))
  transports=$(ucx_transports)
  echo "$suite: $bytes bytes in $frames RoCE frames; the devices sent $sent packets; it needs $payload_bytes bytes"
  result "counted $suite transport=${transports:-none} rdma_bytes=$bytes"
  if [ "$bytes" -lt "$payload_bytes" ]; then
    failed "$suite/rdma_bytes" "the devices carried $bytes bytes, the payload is $payload_bytes: not over RDMA"
  elif [ "$frames" -gt "$sent" ]; then
    failed "$suite/rdma_bytes" "$frames RoCE frames, but the devices sent only $sent packets: not theirs"
  else
    ok "$suite/rdma_bytes"
  fi
}
