# What proves that bytes went over RDMA. Linux 6.1's rxe counts packets (hw_counters), not bytes. So bytes
# are counted where the driver hands a packet to its queue pair, after all its checks, whether it came over
# the wire or from the same device, which never lets it out. What arrives for a queue pair that is gone
# counts nowhere. Two things keep that count honest: there are not more packets
# in it than the devices say they have received; and a switch port counts the bytes of the RoCE v2 frames
# (UDP port 4791 over IPv6) that its device sends: where all packets pass the switch, the sums are equal.
# No TCP packet is in any of them.

readonly kTracing=/sys/kernel/tracing
readonly kRoceUdpPort=4791
# Base transport header 12, checksum 4: what the driver hands over and is no payload. Extended headers, 4 to 16
# bytes in some packets, are left in.
readonly kHeaderBytes=16
readonly kIpv6AndUdpBytes=48

# The second argument is a struct sk_buff, whose length is at 112 in this kernel; suite verbs proves it.
count_received() {
  mount -t tracefs tracing $kTracing
  echo 'p:rdma/received rdma_rxe:rxe_resp_queue_pkt bytes=+112(%si):u32' >$kTracing/kprobe_events &&
    echo 'p:rdma/received rdma_rxe:rxe_comp_queue_pkt bytes=+112(%si):u32' >>$kTracing/kprobe_events &&
    echo 'hist:keys=common_type:vals=bytes' >$kTracing/events/rdma/received/trigger ||
    give_up 'no counter of received bytes'
}

counted_links=()
count_frames() {
  counted_links+=("$1")
  tc qdisc add dev "$1" clsact &&
    tc filter add dev "$1" ingress protocol ipv6 flower ip_proto udp dst_port $kRoceUdpPort action ok ||
    give_up "no counter of frames on $1"
}

# Each prints bytes, then packets; the first without what is no payload.
received() {
  sed -n 's/.*hitcount: *\([0-9]*\) *bytes: *\([0-9]*\).*/\1 \2/p' $kTracing/events/rdma/received/hist |
    awk -v header=$kHeaderBytes '{ n += $1; bytes += $2 } END { printf "%.0f %.0f\n", bytes - n * header, n }'
}
frames() {
  local link
  for link in "${counted_links[@]}"; do
    tc -s filter show dev "$link" ingress
  done | awk -v header=$((kIpv6AndUdpBytes + kHeaderBytes)) '$1 == "Sent" { bytes += $2; n += $4 }
    END { printf "%.0f %.0f\n", bytes - n * header, n }'
}

# device_counter NAME: its sum over all rxe devices.
device_counter() {
  cat /sys/class/infiniband/rxe*/ports/1/hw_counters/"$1" | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}

# UCX says into these files which transports and devices it uses.
readonly kUcxLogs=/tmp/ucx
export UCX_LOG_LEVEL=info UCX_LOG_FILE=$kUcxLogs/%p.log

# The transports, as UCX names them, that carry puts: `rc_verbs`, several joined by `+`. UCX's lines say
# `rma(rc_verbs/rxe0:1 …)`, `rma_bw(…)`, and `rma_am(tcp/lo)` for puts that only look one-sided.
ucx_transports() {
  cat "$kUcxLogs"/*.log 2>/dev/null | grep 'ep_cfg\[' | grep -oE 'rma[a-z_]*\([^)]*\)' |
    sed 's/.*(//; s/)//' | tr ' ' '\n' | sed 's|/.*||' | sort -u | paste -sd +
}

start_counting() {
  rm -rf "$kUcxLogs"
  mkdir -p "$kUcxLogs"
  payload_bytes=0  # a suite sets it to what its tests must have moved at least
  device_packets=$(device_counter rcvd_pkts)
  read -r received_bytes received_packets <<<"$(received)"
  read -r frame_bytes frame_packets <<<"$(frames)"
}

# Afterwards the variables of start_counting() say what came since.
stop_counting() {
  local bytes packets
  read -r bytes packets <<<"$(received)"
  received_bytes=$((bytes - received_bytes)) received_packets=$((packets - received_packets))
  read -r bytes packets <<<"$(frames)"
  frame_bytes=$((bytes - frame_bytes)) frame_packets=$((packets - frame_packets))
  device_packets=$(($(device_counter rcvd_pkts) - device_packets))
}

# why_not_rdma TRANSPORTS: prints what speaks against it, or nothing.
why_not_rdma() {
  if [ "$received_bytes" -lt "$payload_bytes" ]; then
    echo "the devices received $received_bytes bytes, the payload is $payload_bytes"
  elif [ "$received_packets" -gt "$device_packets" ]; then
    echo "$received_packets packets were counted, but the devices received $device_packets"
  elif [ "$frame_packets" -eq "$received_packets" ] && [ "$frame_bytes" -ne "$received_bytes" ]; then
    echo "the devices received $received_bytes bytes, in frames there were $frame_bytes"
  elif [[ ! $1 =~ ^((rc|dc|ud)_(verbs|mlx5)\+?)+$ ]]; then
    echo "by UCX's own words, puts went over: $1"
  fi
}

end_counting() {
  local suite=$1 transports why
  stop_counting
  transports=$(ucx_transports)
  : "${transports:=none}"
  echo "$suite: received over RDMA: $received_bytes bytes in $received_packets packets (by the devices:" \
    "$device_packets); of these in frames: $frame_bytes in $frame_packets; payload: $payload_bytes"
  result "counted $suite transport=$transports rdma_bytes=$received_bytes"
  why=$(why_not_rdma "$transports")
  if [ -z "$why" ]; then
    ok "$suite/over_rdma"
  else
    failed "$suite/over_rdma" "$why"
    cat "$kUcxLogs"/*.log 2>/dev/null | grep -vE ' (INFO|DEBUG) ' | tail -n 20
  fi
}
