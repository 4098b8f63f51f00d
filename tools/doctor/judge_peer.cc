#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "src/base/text.h"
#include "tools/doctor/judge.h"
#include "tools/doctor/text.h"

namespace baton::doctor {
namespace {

using transport::ucx::Gid;
using transport::ucx::RdmaPort;

/// A RoCE port has its network device's addresses as GIDs, also where that is a bond or a VLAN.
bool is_of_port(const RdmaPort& port, const PeerFacts& peer) {
  if (port.netdev == peer.netdev) {
    return true;
  }
  return std::any_of(port.gids.begin(), port.gids.end(), [&](const Gid& gid) {
    constexpr std::size_t kIpv4At = 12;
    const std::string ip(gid.bytes.begin(), gid.bytes.end());
    return gid.netdev == peer.netdev || (gid.is_ipv4() ? ip.substr(kIpv4At) : ip) == peer.source_ip;
  });
}

/// "mlx5_0:1", if the way to the peer leads through an active RDMA port.
std::optional<std::string> rdma_port_towards(const HostFacts& host, const PeerFacts& peer) {
  for (const auto& device : host.rdma_devices) {
    for (const RdmaPort& port : device.ports) {
      if (port.is_active() && has_reliable_verbs(device, port) && is_of_port(port, peer)) {
        return fmt::format("{}:{}", device.name, port.number);
      }
    }
  }
  return std::nullopt;
}

void choose_between_hosts(const HostFacts& host, const TransportPlan& plan, const PeerFacts& peer,
                          PeerVerdict& verdict) {
  if (!plan.ucx) {
    verdict.choice = plan.tcp ? "tcp" : "";
    verdict.why = plan.tcp ? fmt::format("another host, and ucx isn't offered: {}", plan.why_no_ucx)
                           : "another host, and pd_transport is shm, which stays on one";
    return;
  }
  verdict.choice = "ucx";
  verdict.otherwise = plan.tcp ? "tcp" : "";
  if (!plan.ucx_over_rdma) {
    verdict.why = "pd_transport is ucx, over its own TCP; the peer must say the same";
    return;
  }
  if (const auto port = rdma_port_towards(host, peer)) {
    verdict.why = fmt::format(
        "another host, and the way there leads through {}, which is the RDMA port {}; if the peer "
        "has an ACTIVE port of the same kind, too, which only the handshake shows",
        peer.netdev, *port);
    return;
  }
  verdict.why =
      "another host, and both sides take RDMA if both have an ACTIVE port of the same kind (RoCE, "
      "or "
      "one InfiniBand subnet), which only the handshake shows";
  verdict.findings.push_back(
      {Level::kWarning, "peer",
       fmt::format("the way to {} leads through {}, which belongs to no ACTIVE RDMA port: whether "
                   "the RDMA network reaches the peer can't be seen from here",
                   peer.address, peer.netdev.empty() ? "no interface" : peer.netdev),
       "try it with `ucx_perftest` (docs/rdma.md); if it doesn't, set pd_transport: tcp"});
}

void choose_on_this_host(const TransportPlan& plan, PeerVerdict& verdict) {
  verdict.choice = plan.shm ? "shm" : plan.ucx ? "ucx" : "tcp";
  verdict.why = plan.shm ? "an address of this host; if the receiver runs as the same user (or the "
                           "sender as root) and in the same PID and network namespaces, which only "
                           "the handshake shows"
                         : "an address of this host, but pd_transport rules out shm";
  if (plan.shm) {
    verdict.otherwise = plan.ucx ? "ucx" : plan.tcp ? "tcp" : "";
  }
}

void judge_answer(const PeerFacts& peer, PeerVerdict& verdict) {
  if (!peer.answered) {
    return;
  }
  if (peer.answered->ok()) {
    verdict.findings.push_back({Level::kOk, "peer",
                                fmt::format("{} takes TCP connections at port {}; what listens "
                                            "there wasn't asked",
                                            peer.address, *peer.port),
                                ""});
    return;
  }
  verdict.findings.push_back(
      {Level::kWarning, "peer", std::string(peer.answered->message()),
       "refused: nothing listens there; no answer: a firewall, a wrong address, or the host is "
       "down. The control plane needs this connection whatever carries the bytes"});
}

}  // namespace

PeerVerdict judge_peer(const HostFacts& host, const Options& options, const PeerFacts& peer) {
  PeerVerdict verdict;
  if (!peer.resolved.ok()) {
    verdict.why = std::string(peer.resolved.message());
    verdict.findings.push_back({Level::kWarning, "peer", verdict.why, "give a name or an address"});
    return verdict;
  }
  const TransportPlan plan = plan_transports(host, options);
  if (options.pd_transport == TransportChoice::kNixl) {
    verdict.why = "pd_transport is nixl: only its own connection tells whether it reaches the peer";
  } else if (!plan.shm && !plan.ucx && !plan.tcp) {
    verdict.why = fmt::format("pd_transport is ucx, but {}", plan.why_no_ucx);
  } else if (peer.is_own) {
    choose_on_this_host(plan, verdict);
  } else {
    choose_between_hosts(host, plan, peer, verdict);
  }
  if (!peer.is_own && peer.netdev.empty()) {
    verdict.findings.push_back({Level::kWarning, "peer",
                                fmt::format("there is no route to {}", peer.address),
                                "the control plane needs one: check `ip route`"});
  }
  judge_answer(peer, verdict);
  return verdict;
}

}  // namespace baton::doctor
