#include "baton/options.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/base/text.h"
#include "src/config/option_table.h"
#include "src/config/option_values.h"

namespace baton {
namespace {

Status invalid(std::string message) {
  return absl::InvalidArgumentError(std::move(message));
}

struct Ports {
  std::string_view name;
  const std::vector<std::uint16_t>& of_ranks;
  bool needed;  ///< else the system may choose
};

std::array<Ports, 5> ports_of(const Options& options) {
  return {Ports{"pd_peer_init_port", options.pd_peer_init_port, true},
          Ports{"pd_peer_alloc_port", options.pd_peer_alloc_port, true},
          Ports{"pd_peer_query_port", options.pd_peer_query_port, false},
          Ports{"pd_peer_data_port", options.pd_peer_data_port, false},
          Ports{"pd_peer_ucx_port", options.pd_peer_ucx_port, false}};
}

/// Ports of a receiver: one of each kind for every rank.
Status check_ports(const Options& options) {
  const std::size_t ranks = options.pd_peer_init_port.size();
  if (ranks == 0) {
    return invalid("pd_peer_init_port is missing; a receiver needs a port per rank");
  }
  for (const Ports& ports : ports_of(options)) {
    if (ports.of_ranks.size() != ranks && (ports.needed || !ports.of_ranks.empty())) {
      return invalid(fmt::format("{} has {} ports, but pd_peer_init_port has {}; {}", ports.name,
                                 ports.of_ranks.size(), ranks,
                                 ports.needed ? "a receiver needs one of each per rank"
                                              : "none or one per rank is needed"));
    }
  }
  return absl::OkStatus();
}

/// The ports of one rank are bound on one address.
Status check_ports_differ(const Options& options) {
  for (std::size_t rank = 0; rank < options.pd_peer_init_port.size(); ++rank) {
    std::map<std::uint16_t, std::string_view> taken;
    for (const Ports& ports : ports_of(options)) {
      const std::uint16_t port = ports.of_ranks.empty() ? 0 : ports.of_ranks[rank];
      const auto [owner, is_free] = taken.emplace(port, ports.name);
      if (port != 0 && !is_free) {
        return invalid(fmt::format("rank {} has a port twice: {} is both {} and {}", rank, port,
                                   owner->second, ports.name));
      }
    }
  }
  return absl::OkStatus();
}

/// What can only be meant for the ucx transport.
Status check_ucx(const Options& options) {
  const bool possible = options.pd_transport == TransportChoice::kUcx ||
                        options.pd_transport == TransportChoice::kAuto;
  if (!possible && !options.pd_ucx_rails.empty()) {
    return invalid("pd_ucx_rails are given, but pd_transport is neither ucx nor auto");
  }
  return absl::OkStatus();
}

Status check_receiver(const Options& options) {
  if (options.pd_peer_host.empty()) {
    return invalid("pd_peer_host is empty; a receiver needs an address to bind its ports to");
  }
  if (options.pd_peer_host == "0.0.0.0") {
    return invalid(
        "pd_peer_host is 0.0.0.0, which no sender can connect to; give the one address that "
        "senders reach this receiver at");
  }
  if (Status status = check_ports(options); !status.ok()) {
    return status;
  }
  return check_ports_differ(options);
}

Status check_sender(const Options& options) {
  if (!options.pd_proxy_host.empty() && options.pd_proxy_port == 0) {
    return invalid(
        fmt::format("pd_proxy_port is 0 although pd_proxy_host is '{}'; 1 to 65535 is "
                    "needed",
                    options.pd_proxy_host));
  }
  if (options.pd_proxy_host.empty() && options.pd_proxy_kind == ProxyKind::kBaton) {
    return invalid("pd_proxy_kind is baton, but pd_proxy_host is missing; name the proxy");
  }
  if (options.pd_proxy_host.empty() && options.pd_proxy_port != 0) {
    return invalid(
        fmt::format("pd_proxy_port is {}, but pd_proxy_host is missing", options.pd_proxy_port));
  }
  return absl::OkStatus();
}

/// Half a set of keys protects nothing: each mistake is refused, none is guessed about.
Status check_security(const Options& options) {
  struct File {
    std::string_view name;
    const std::string& path;
  };
  const bool curve = options.pd_security == Security::kCurve;
  for (const File& file : {File{"pd_secret_key_file", options.pd_secret_key_file},
                           File{"pd_peer_keys_file", options.pd_peer_keys_file}}) {
    if (curve && file.path.empty()) {
      return invalid(
          fmt::format("{} is missing, but pd_security is curve; `baton keys generate` makes keys, "
                      "docs/security.md says what goes where",
                      file.name));
    }
    if (!curve && !file.path.empty()) {
      return invalid(
          fmt::format("{} is {}, but pd_security is none: set pd_security: curve to use the keys, "
                      "or leave the file out",
                      file.name, quote(file.path)));
    }
  }
  if (options.pd_proxy_plain && !curve) {
    return invalid(
        "pd_proxy_plain is true, but pd_security is none: there is nothing to exempt the proxy "
        "from; leave it out");
  }
  if (options.pd_proxy_plain && options.pd_proxy_kind == ProxyKind::kBaton) {
    return invalid(
        "pd_proxy_plain is true, but pd_proxy_kind is baton: the exemption is for stock proxies, "
        "give "
        "Baton's a key");
  }
  if (options.pd_proxy_plain && options.pd_proxy_host.empty()) {
    return invalid("pd_proxy_plain is true, but pd_proxy_host is missing; leave out both or none");
  }
  return absl::OkStatus();
}

/// LMCache's sockets know no keys.
Status check_stock_peers(const Options& options) {
  if (options.pd_stock_peers == StockPeers::kAllow && options.pd_security == Security::kCurve) {
    return invalid(
        "pd_stock_peers is allow, but pd_security is curve: LMCache's peers have no keys, and "
        "every "
        "socket here asks for one; run a Baton without keys for them on ports of its own, or "
        "refuse "
        "them");
  }
  return absl::OkStatus();
}

/// A decoder that gives up sooner than a put may last would lose chunks that still come.
Status check_time_limits(const Options& options) {
  if (options.pd_claim_ttl_ms < options.pd_claim_timeout_ms) {
    return invalid(fmt::format(
        "pd_claim_ttl_ms is {}; at least pd_claim_timeout_ms, {}, is needed, or requests "
        "end while they may still be claimed",
        options.pd_claim_ttl_ms.count(), options.pd_claim_timeout_ms.count()));
  }
  if (options.pd_claim_timeout_ms < options.pd_put_timeout_ms) {
    return invalid(
        fmt::format("pd_claim_timeout_ms is {}; at least pd_put_timeout_ms, {}, is "
                    "needed",
                    options.pd_claim_timeout_ms.count(), options.pd_put_timeout_ms.count()));
  }
  if (options.pd_lease_ms < options.pd_drain_timeout_ms) {
    return invalid(fmt::format(
        "pd_lease_ms is {}; at least pd_drain_timeout_ms, {}, is needed, or a sender is "
        "fenced while it may still drain",
        options.pd_lease_ms.count(), options.pd_drain_timeout_ms.count()));
  }
  return absl::OkStatus();
}

/// What is only meant for one process that is sender and receiver.
Status check_roles(const Options& options) {
  if (options.pd_role == Role::kBoth) {
    return options.pd_staging_buffer_size < options.pd_buffer_size
               ? absl::OkStatus()
               : invalid(fmt::format(
                     "pd_staging_buffer_size is {}, pd_buffer_size {}: nothing is left for the "
                     "receiver's pages",
                     options.pd_staging_buffer_size, options.pd_buffer_size));
  }
  if (options.pd_staging_buffer_size != 0) {
    return invalid(fmt::format(
        "pd_staging_buffer_size is {}, but pd_role is not both: the whole buffer has one purpose; "
        "leave it out",
        options.pd_staging_buffer_size));
  }
  return absl::OkStatus();
}

Status check_versions(const Options& options) {
  if (options.pd_protocol_min > options.pd_protocol_max) {
    return invalid(fmt::format("pd_protocol_min is {}, more than pd_protocol_max, {}",
                               options.pd_protocol_min, options.pd_protocol_max));
  }
  return absl::OkStatus();
}

}  // namespace

Status Options::validate() const {
  for (const config::OptionRow& row : config::option_table()) {
    if (Status status = config::check_range(row, *this); !status.ok()) {
      return status;
    }
  }
  if (Status status = check_time_limits(*this); !status.ok()) {
    return status;
  }
  if (Status status = check_versions(*this); !status.ok()) {
    return status;
  }
  if (Status status = check_security(*this); !status.ok()) {
    return status;
  }
  if (Status status = check_stock_peers(*this); !status.ok()) {
    return status;
  }
  if (Status status = check_ucx(*this); !status.ok()) {
    return status;
  }
  if (Status status = check_roles(*this); !status.ok()) {
    return status;
  }
  if (Status status = receives(pd_role) ? check_receiver(*this) : absl::OkStatus(); !status.ok()) {
    return status;
  }
  return sends(pd_role) ? check_sender(*this) : absl::OkStatus();
}

}  // namespace baton
