// From facts to findings. Pure: no file is read here, and nothing is asked of the system.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tools/doctor/facts.h"
#include "tools/doctor/finding.h"

namespace baton::doctor {

/// Which transports a backend on this host offers, with the configuration or, without one, by
/// default.
struct TransportPlan {
  bool shm = false;
  bool ucx = false;
  bool tcp = false;
  bool ucx_over_rdma = false;  ///< else, if ucx, over UCX's own TCP
  std::string why_no_ucx;      ///< if !ucx
};
TransportPlan plan_transports(const HostFacts& host, const Options& options);

/// How often the buffer is registered, each time counting against the limit on locked memory: by
/// each rail with each of its devices; without rails, with each device that UCX may use.
std::size_t count_registrations(const HostFacts& host, const Options& options);
/// The buffer, as often as it is registered.
std::uint64_t bytes_to_lock(const HostFacts& host, const Options& options);

/// The GID that UCX takes on a RoCE port, if nobody tells it by UCX_IB_GID_INDEX: RoCE v2 before
/// v1, IPv4 before IPv6, then the first; since 1.21 routed IPv6 before link-local. Null: none.
const transport::ucx::Gid* default_gid(const transport::ucx::RdmaPort& port, UcxVersion version);

/// RDMA ports, GIDs, device files, UCX's environment.
Findings judge_rdma(const HostFacts& host);
Finding judge_huge_pages(const HostFacts& host);
/// What no configuration was given for: transports by default, and the limit on locked memory.
Findings judge_defaults(const HostFacts& host);
Findings judge_config(const HostFacts& host, const ConfigFacts& config);

/// What Baton will choose for a peer, as far as one side can know.
struct PeerVerdict {
  std::string choice;     ///< "shm", "ucx", "tcp", or empty: it can't be reached
  std::string otherwise;  ///< if the peer hasn't what `choice` needs; empty: nothing is left
  std::string why;
  Findings findings;
};
PeerVerdict judge_peer(const HostFacts& host, const Options& options, const PeerFacts& peer);

bool any_error(const Findings& findings);

}  // namespace baton::doctor
