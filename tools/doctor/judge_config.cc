#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "src/transport/nixl/nixl.h"
#include "tools/doctor/judge.h"
#include "tools/doctor/text.h"

namespace baton::doctor {
namespace {

/// What UCX and the verbs libraries lock beside the buffer: queues, and buffers of their own.
constexpr std::uint64_t kBesideBuffer = 64ULL << 20U;

std::string text(const Status& status) {
  return std::string(status.message());
}

std::string memlock_text(const HostFacts& host) {
  return fmt::format("{} (hard limit {})", limit_text(host.memlock.soft_bytes),
                     limit_text(host.memlock.hard_bytes));
}

std::string memlock_remedy(std::uint64_t locked) {
  return fmt::format(
      "allow {} or more (docs/rdma.md, \"Memory\"): LimitMEMLOCK=infinity in a systemd unit, "
      "docker "
      "run --ulimit memlock=-1, `ulimit -l` in a shell",
      bytes_text(locked + kBesideBuffer));
}

/// Would ucx be offered, were it not for the limit on locked memory?
bool lacks_memlock(const HostFacts& host, const Options& options) {
  Options nothing_to_lock = options;
  nothing_to_lock.pd_buffer_size = 0;
  return !plan_transports(host, options).ucx && plan_transports(host, nothing_to_lock).ucx;
}

/// The one fault that keeps ucx away although devices are there: it is easily put right.
void judge_lack_of_memlock(const HostFacts& host, const Options& options, Findings& out) {
  if (!lacks_memlock(host, options)) {
    return;
  }
  const std::size_t times = count_registrations(host, options);
  const std::uint64_t locked = bytes_to_lock(host, options);
  const bool needed = options.pd_transport == TransportChoice::kUcx;
  out.push_back(
      {needed ? Level::kError : Level::kWarning, "memlock",
       fmt::format("pd_buffer_size is {}, locked {}; {} may be locked{}",
                   bytes_text(options.pd_buffer_size),
                   times == 1 ? std::string("once")
                              : fmt::format("by {} RDMA devices: {}", times, bytes_text(locked)),
                   memlock_text(host), needed ? "" : ": a backend goes on without ucx"),
       memlock_remedy(locked)});
}

/// What asks for NIXL, and what does without it.
struct NixlUse {
  std::string_view setting;
  std::string_view offered;
  std::string_view instead;
};
constexpr NixlUse kNixlTransport{"pd_transport is nixl", "offers nixl",
                                 "set pd_transport: auto, which takes tcp"};
constexpr NixlUse kNixlForStockPeers{"pd_stock_peers is allow", "meets LMCache's peers over NIXL",
                                     "set pd_stock_peers: refuse"};

void judge_nixl(const HostFacts& host, const Options& options, const NixlUse& use, Findings& out) {
  const bool rdma = any_active_port(host.rdma_devices);
  if (!transport::has_nixl()) {
    out.push_back(
        {Level::kError, "transports",
         fmt::format("{}, but this Baton was built without NIXL", use.setting),
         fmt::format("build it with -DBATON_WITH_NIXL=ON (docs/interop.md); or {}", use.instead)});
  } else if (!rdma && !options.insecure_data_plane) {
    out.push_back(
        {Level::kError, "transports",
         fmt::format("{}, but no RDMA port that it can use is ACTIVE", use.setting),
         fmt::format("{}; or, to try out nixl over UCX's own TCP, insecure_data_plane: true",
                     use.instead)});
  } else {
    out.push_back({Level::kOk, "transports", std::string(use.offered), ""});
    if (!rdma) {
      out.push_back(
          {Level::kWarning, "transports",
           "insecure_data_plane: nixl goes over UCX's own TCP, where whoever connects can "
           "write anywhere in the process",
           "for experiments only; set pd_transport: tcp where there is no RDMA"});
    }
  }
}

void judge_transport(const HostFacts& host, const Options& options, Findings& out) {
  if (options.pd_transport == TransportChoice::kNixl) {
    judge_nixl(host, options, kNixlTransport, out);
    return;
  }
  const TransportPlan plan = plan_transports(host, options);
  if (options.pd_transport == TransportChoice::kUcx && !plan.ucx) {
    if (lacks_memlock(host, options)) {
      return;  // an error of its own, with another remedy
    }
    out.push_back(
        {Level::kError, "transports", fmt::format("pd_transport is ucx, but {}", plan.why_no_ucx),
         host.ucx_opened && !host.ucx_opened->ok()
             ? "see the findings on ports, verbs and environment; or set pd_transport: auto, "
               "which takes tcp where ucx can't be had"
             : "set pd_transport: auto, which takes tcp where there is no RDMA; or, to try "
               "out ucx over its own TCP, insecure_data_plane: true"});
    return;
  }
  std::string names;
  for (const auto& [name, offered] :
       {std::pair("shm", plan.shm), std::pair("ucx", plan.ucx), std::pair("tcp", plan.tcp)}) {
    if (offered) {
      names += fmt::format("{}{}", names.empty() ? "" : ", ", name);
    }
  }
  out.push_back(
      {Level::kOk, "transports",
       fmt::format("offers {}{}", names,
                   plan.why_no_ucx.empty() || options.pd_transport != TransportChoice::kAuto
                       ? ""
                       : fmt::format("; ucx not: {}", plan.why_no_ucx)),
       ""});
  if (plan.ucx && options.insecure_data_plane) {
    out.push_back(
        {Level::kWarning, "transports",
         "insecure_data_plane: ucx may go over UCX's own TCP, where whoever connects can "
         "write anywhere in the process",
         "for experiments only; leave it out, and set pd_transport: tcp where there is no "
         "RDMA"});
  } else if (options.insecure_data_plane && options.pd_stock_peers == StockPeers::kRefuse) {
    out.push_back({Level::kNote, "transports",
                   "insecure_data_plane says nothing here: ucx isn't offered", "leave it out"});
  }
}

void judge_memory(const HostFacts& host, const Options& options, Findings& out) {
  const std::uint64_t buffer = options.pd_buffer_size;
  if (host.memory_bytes != 0 && buffer > host.memory_bytes) {
    out.push_back({Level::kError, "memory",
                   fmt::format("pd_buffer_size is {}, this host has {}", bytes_text(buffer),
                               bytes_text(host.memory_bytes)),
                   "make it smaller"});
  } else if (host.memory_bytes != 0 && buffer > host.available_bytes) {
    out.push_back({Level::kWarning, "memory",
                   fmt::format("pd_buffer_size is {}, but only {} of memory are available",
                               bytes_text(buffer), bytes_text(host.available_bytes)),
                   "unless its process is running already: make it smaller, or free memory"});
  }
}

void judge_memlock(const HostFacts& host, const Options& options, Findings& out) {
  if (!plan_transports(host, options).ucx_over_rdma || host.memlock.exempt ||
      !host.memlock.soft_bytes) {
    return;
  }
  const std::uint64_t locked = bytes_to_lock(host, options);
  const std::string what =
      fmt::format("{} would be locked, {} may be", bytes_text(locked), memlock_text(host));
  if (host.memlock.limits(locked + kBesideBuffer)) {
    out.push_back({Level::kWarning, "memlock",
                   what + "; UCX and the verbs library may lock memory of their own",
                   memlock_remedy(locked)});
  } else {
    out.push_back({Level::kOk, "memlock", what, ""});
  }
}

std::string own_addresses(const HostFacts& host) {
  std::string list;
  for (const HostAddress& own : host.addresses) {
    list += fmt::format("{}{} ({})", list.empty() ? "" : ", ", ip_text(own.ip), own.netdev);
  }
  return list;
}

void judge_receiver(const HostFacts& host, const Options& options, const ConfigFacts& config,
                    Findings& out) {
  if (!config.peer_host.ok()) {
    out.push_back({Level::kError, "address",
                   fmt::format("pd_peer_host: {}", text(config.peer_host)),
                   fmt::format("give the address that senders reach this host at; it has: {}",
                               own_addresses(host))});
    return;
  }
  bool all = true;
  for (const PortFact& port : config.ports) {
    if (!port.bound.ok()) {
      all = false;
      out.push_back({Level::kError, "port", fmt::format("{}: {}", port.option, text(port.bound)),
                     "if this receiver is running already, all is well; else give another port, or "
                     "end what has it (`ss -ltnp` shows who)"});
    }
  }
  if (all) {
    out.push_back(
        {Level::kOk, "port",
         fmt::format("all {} ports can be bound on {}", config.ports.size(), options.pd_peer_host),
         ""});
  }
}

void judge_keys(const Options& options, const ConfigFacts& config, Findings& out) {
  if (options.pd_security == Security::kNone) {
    out.push_back({Level::kNote, "keys",
                   "pd_security is none: whoever reaches the ports can read and change KV caches",
                   "keep them on a trusted network, or make keys: docs/security.md"});
  } else if (!config.keys.ok()) {
    out.push_back({Level::kError, "keys", text(config.keys), "see docs/security.md"});
  } else {
    out.push_back({Level::kOk, "keys", "the key files are fine", ""});
  }
}

}  // namespace

Findings judge_config(const HostFacts& host, const ConfigFacts& config) {
  if (!config.parsed.ok()) {
    return {{Level::kError, "configuration", text(config.parsed.status()), ""}};
  }
  Findings out;
  for (const std::string& note : config.parsed->notes) {
    out.push_back({Level::kNote, "configuration", note, ""});
  }
  const Options& options = config.parsed->options;
  judge_transport(host, options, out);
  if (options.pd_stock_peers == StockPeers::kAllow) {
    judge_nixl(host, options, kNixlForStockPeers, out);
  }
  judge_memory(host, options, out);
  judge_lack_of_memlock(host, options, out);
  judge_memlock(host, options, out);
  if (receives(options.pd_role)) {
    judge_receiver(host, options, config, out);
  }
  if (sends(options.pd_role) && !config.proxy_host.ok()) {
    out.push_back({Level::kWarning, "address",
                   fmt::format("pd_proxy_host: {}", text(config.proxy_host)),
                   "the proxy hears nothing until the name can be resolved"});
  }
  judge_keys(options, config, out);
  return out;
}

}  // namespace baton::doctor
