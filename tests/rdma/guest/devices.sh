# The soft-RoCE devices: rxeN on vethN, whose other end, portN, is a port of one switch, as on a real
# fabric: every device reaches every other. Rails are what the suites call pairs of them.
#
# All is in one network namespace, for rxe knows only the first. GID 0 is the IPv6 link-local one,
# with which frames leave through the device that a program chose; with an IPv4 GID the kernel would
# keep them inside the host.
export UCX_IB_GID_INDEX=0

# Tests give them to the two sides in turn: bytes between two rxe devices travel as frames, those within
# one don't.
export BATON_TEST_UCX_DEVICES="rxe0:1 rxe1:1 rxe2:1 rxe3:1"

load_modules() {
  local module
  while read -r module; do
    insmod "/modules/$module" || give_up "can't load $module"
  done </modules/order
}

# await SECONDS COMMAND...: until it succeeds.
await() {
  local tries=$(($1 * 10))
  shift
  until "$@" >/dev/null 2>&1; do
    ((--tries > 0)) || return 1
    sleep 0.1
  done
}

is_active() { grep -q ACTIVE "/sys/class/infiniband/$1/ports/1/state"; }
has_link_local() { ip -6 address show dev "$1" scope link -tentative | grep -q fe80; }

make_devices() {
  local device number
  ip link set lo up
  echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad  # nobody else can have our addresses
  ip link add switch type bridge stp_state 0 mcast_snooping 0
  ip link set switch up
  for device in "$@"; do
    number=${device#rxe}
    # 4500: RoCE packets of 4096 bytes and their headers.
    ip link add "veth$number" mtu 4500 address "02:00:00:00:00:0$number" type veth \
      peer name "port$number" mtu 4500
    ip link set "port$number" master switch up
    ip link set "veth$number" up
    rdma link add "$device" type rxe netdev "veth$number" || give_up "no device $device"
    count_frames "port$number"
  done
  for device in "$@"; do
    if ! await 20 is_active "$device" || ! await 20 has_link_local "veth${device#rxe}"; then
      give_up "$device did not come up"
    fi
  done
  know_neighbours "$@"
}

restore_links() {
  local device
  for device in rxe0 rxe1 rxe2 rxe3; do
    ip link set "veth${device#rxe}" up
    await 20 is_active "$device" && await 20 has_link_local "veth${device#rxe}" ||
      give_up "$device did not come up again"
  done
  know_neighbours rxe0 rxe1 rxe2 rxe3
}

# A first word to a neighbour would wait a second for its address, and the process with it.
know_neighbours() {
  local from to
  for from in "$@"; do
    for to in "$@"; do
      [ "$from" = "$to" ] || ip -6 neigh replace "fe80::ff:fe00:${to#rxe}" dev "veth${from#rxe}" \
        lladdr "02:00:00:00:00:0${to#rxe}" nud permanent
    done
  done
}
