#include <fmt/format.h>

#include <set>
#include <utility>

#include "src/backend/credentials.h"
#include "src/base/epoch.h"
#include "src/base/event_loop.h"
#include "src/control/zmq/zmq_network.h"
#include "src/transport/tcp/address.h"
#include "src/transport/tcp/tcp_transport.h"
#include "tools/doctor/judge.h"
#include "tools/doctor/probe.h"

namespace baton::doctor {
namespace {

using transport::tcp::Address;

/// Binds the ports of a receiver with a backend's own code, and lets go of them. Which rank this
/// process is to be isn't known: all are tried, and what several ranks have, on hosts of their own,
/// once.
class PortTrial {
 public:
  PortTrial(EventLoop& loop, const Options& options, TransportPlan plan)
      : loop_(loop), options_(options), plan_(std::move(plan)) {}

  std::vector<PortFact> run() {
    loop_.run_sync([this] { run_on_loop(); });
    return std::move(facts_);
  }

 private:
  void run_on_loop() {
    control::ZmqNetwork network(loop_);
    std::vector<std::unique_ptr<control::Server>> servers;
    std::vector<std::unique_ptr<transport::TcpTransport>> transports;
    const auto bind_server = [&](std::string_view option, std::uint16_t port) {
      if (tried(port)) {
        return;
      }
      const std::string endpoint = fmt::format("tcp://{}:{}", options_.pd_peer_host, port);
      auto server = network.bind_server(
          endpoint, [](const control::Route& /*from*/, std::string_view /*payload*/) {});
      note(option, endpoint, server.status());
      if (server.ok()) {
        servers.push_back(*std::move(server));
      }
    };
    // The ucx transport's connections begin with a TCP connection like those of tcp.
    const auto bind_line = [&](std::string_view option, const std::vector<std::uint16_t>& ports,
                               std::size_t rank) {
      transport::TcpOptions line;
      line.host = options_.pd_peer_host;
      line.port = rank < ports.size() ? ports[rank] : std::uint16_t{0};
      if (tried(line.port)) {
        return;
      }
      auto made = transport::TcpTransport::create(loop_, Epoch::random(), line);
      note(option, fmt::format("{}:{}", line.host, line.port), made.status());
      if (made.ok()) {
        transports.push_back(*std::move(made));
      }
    };
    for (std::size_t rank = 0; rank < options_.pd_peer_init_port.size(); ++rank) {
      bind_server("pd_peer_init_port", options_.pd_peer_init_port[rank]);
      bind_server("pd_peer_alloc_port", options_.pd_peer_alloc_port[rank]);
      if (plan_.tcp) {
        bind_line("pd_peer_data_port", options_.pd_peer_data_port, rank);
      }
      if (plan_.ucx) {
        bind_line("pd_peer_ucx_port", options_.pd_peer_ucx_port, rank);
      }
    }
    for (const auto& transport : transports) {
      transport->close();
      transport->join();
    }
  }
  bool tried(std::uint16_t port) { return port != 0 && !ports_.insert(port).second; }
  void note(std::string_view option, std::string endpoint, Status status) {
    facts_.push_back({std::string(option), std::move(endpoint), std::move(status)});
  }

  EventLoop& loop_;
  const Options& options_;
  const TransportPlan plan_;
  std::set<std::uint16_t> ports_;
  std::vector<PortFact> facts_;
};

Status check_peer_host(const Options& options, const HostFacts& host) {
  const StatusOr<Address> address = transport::tcp::resolve(options.pd_peer_host, 0);
  if (!address.ok()) {
    return address.status();
  }
  return is_own_address(host, address->ip)
             ? absl::OkStatus()
             : absl::NotFoundError(
                   fmt::format("{} is no address of this host", options.pd_peer_host));
}

void probe_receiver(const Options& options, const HostFacts& host, ConfigFacts& facts) {
  facts.peer_host = check_peer_host(options, host);
  if (!facts.peer_host.ok()) {
    return;  // every port would fail for the same reason
  }
  auto loop = EventLoop::create("doctor");
  if (!loop.ok()) {
    facts.ports.push_back({"pd_peer_init_port", "", loop.status()});
    return;
  }
  (*loop)->start();
  facts.ports = PortTrial(**loop, options, plan_transports(host, options)).run();
  (*loop)->stop();
}

}  // namespace

ConfigFacts probe_config(const std::string& path, const HostFacts& host) {
  ConfigFacts facts;
  facts.path = path;
  facts.parsed = load_options(path);
  if (!facts.parsed.ok()) {
    return facts;
  }
  const Options& options = facts.parsed->options;
  if (options.pd_security == Security::kCurve) {
    facts.keys = load_credentials(options).status();
  }
  if (receives(options.pd_role)) {
    probe_receiver(options, host, facts);
  }
  if (sends(options.pd_role) && !options.pd_proxy_host.empty()) {
    facts.proxy_host = transport::tcp::resolve(options.pd_proxy_host, 0).status();
  }
  return facts;
}

}  // namespace baton::doctor
