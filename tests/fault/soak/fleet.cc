#include "tests/fault/soak/fleet.h"

#include <fmt/format.h>

#include "tests/support/backend_pair.h"

namespace baton::soak {
namespace {

std::vector<std::uint16_t> numbers(const std::vector<ReservedPort>& ports) {
  std::vector<std::uint16_t> numbers;
  numbers.reserve(ports.size());
  for (const ReservedPort& port : ports) {
    numbers.push_back(port.number());
  }
  return numbers;
}

}  // namespace

Fleet::Fleet(const FleetOptions& options) : options_(options) {
  for (std::uint32_t rank = 0; rank < options.ranks; ++rank) {
    for (std::uint32_t index = 0; index < kPrefillers; ++index) {
      places_.push_back({Part::kPrefiller, index, rank});
    }
    for (std::uint32_t index = 0; index < kDecoders; ++index) {
      places_.push_back({Part::kDecoder, index, rank});
    }
  }
  places_.push_back({Part::kProxy, 0, 0});
  for (DecoderPorts& ports : decoder_ports_) {
    ports.init = std::vector<ReservedPort>(options.ranks);
    ports.alloc = std::vector<ReservedPort>(options.ranks);
    ports.data = std::vector<ReservedPort>(options.ranks);
  }
}

std::string Fleet::name(const Place& place) const {
  if (place.part == Part::kProxy) {
    return "proxy";
  }
  const char* part = place.part == Part::kPrefiller ? "prefiller" : "decoder";
  return options_.ranks == 1 ? fmt::format("{} {}", part, place.index)
                             : fmt::format("{} {} rank {}", part, place.index, place.rank);
}

std::unique_ptr<Process> Fleet::spawn(const Place& place) const {
  return std::make_unique<Process>(name(place), [this, place](const Channel& driver) {
    switch (place.part) {
      case Part::kPrefiller:
        return run_prefiller(*this, place, driver);
      case Part::kDecoder:
        return run_decoder(*this, place, driver);
      case Part::kProxy:
        break;
    }
    return run_proxy(*this, driver);
  });
}

Options Fleet::backend_options(const Place& place) const {
  using std::chrono::milliseconds;
  const Role role = place.part == Part::kPrefiller ? Role::kSender : Role::kReceiver;
  Options options = testing::small_options(role, kPages, options_.transport);
  if (!options_.ucx_devices.empty()) {
    const std::uint32_t number = place.index + (role == Role::kReceiver ? kPrefillers : 0);
    options.pd_ucx_rails = {options_.ucx_devices[number % options_.ucx_devices.size()]};
  }
  if (role == Role::kReceiver) {
    const DecoderPorts& ports = decoder_ports_[place.index];
    options.pd_peer_init_port = numbers(ports.init);
    options.pd_peer_alloc_port = numbers(ports.alloc);
    options.pd_peer_data_port = numbers(ports.data);
    options.pd_poison_pages = true;
  } else {
    options.pd_proxy_host = "127.0.0.1";
    options.pd_proxy_port = proxy_port();
    options.pd_proxy_kind = ProxyKind::kBaton;
  }
  const auto limit = [this](int ms) { return milliseconds(options_.slowness * ms); };
  options.pd_lease_ms = limit(1'000);
  options.pd_drain_timeout_ms = limit(500);
  options.pd_handshake_timeout_ms = limit(3'000);
  options.pd_admission_timeout_ms = limit(6'000);
  options.pd_put_timeout_ms = limit(2'500);
  options.pd_request_idle_timeout_ms = limit(2'500);
  options.pd_claim_timeout_ms = limit(2'500);
  options.pd_claim_ttl_ms = limit(2'500);
  return options;
}

std::vector<std::uint16_t> Fleet::init_ports(std::uint32_t decoder) const {
  return numbers(decoder_ports_[decoder].init);
}

std::vector<std::uint16_t> Fleet::alloc_ports(std::uint32_t decoder) const {
  return numbers(decoder_ports_[decoder].alloc);
}

}  // namespace baton::soak
