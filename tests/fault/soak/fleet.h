// Who there is, on which ports, and how each of them begins.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "baton/options.h"
#include "tests/fault/soak/plan.h"
#include "tests/fault/soak/process.h"

namespace baton::soak {

/// How long the survivors may take, once nothing is under way, until every page is free: a claim's
/// time to live, a lease, its sweep and a drain, with room for a slow machine.
inline constexpr std::chrono::milliseconds kSettleLimit{10'000};  // on a machine of slowness 1

struct FleetOptions {
  std::uint64_t seed = 1;
  TransportChoice transport = TransportChoice::kAuto;
  std::vector<std::string> ucx_devices;  ///< of the processes, in turn; none: UCX chooses
  /// What all time limits are multiplied by.
  std::uint32_t slowness = 1;
  std::uint32_t ranks = 1;  ///< of every prefiller and every decoder
};

enum class Part : std::uint8_t { kPrefiller, kDecoder, kProxy };

struct Place {
  Part part = Part::kProxy;
  std::uint32_t index = 0;
  std::uint32_t rank = 0;
};

/// Ports by rank.
struct DecoderPorts {
  std::vector<ReservedPort> init;
  std::vector<ReservedPort> alloc;
  std::vector<ReservedPort> data;
};

/// The same ports for every incarnation. Used by the driver and, as it was at the fork, by workers.
class Fleet {
 public:
  explicit Fleet(const FleetOptions& options);

  const FleetOptions& options() const { return options_; }
  const std::vector<Place>& places() const { return places_; }
  std::string name(const Place& place) const;
  std::unique_ptr<Process> spawn(const Place& place) const;

  /// With short time limits, so that a round takes about a second.
  Options backend_options(const Place& place) const;
  std::chrono::milliseconds settle_limit() const { return options_.slowness * kSettleLimit; }
  std::vector<std::uint16_t> init_ports(std::uint32_t decoder) const;
  std::vector<std::uint16_t> alloc_ports(std::uint32_t decoder) const;
  std::uint16_t proxy_port() const { return proxy_port_.number(); }

 private:
  FleetOptions options_;
  std::vector<Place> places_;
  std::array<DecoderPorts, kDecoders> decoder_ports_;
  ReservedPort proxy_port_;
};

/// The workers' bodies: until the driver is gone.
int run_prefiller(const Fleet& fleet, const Place& place, const Channel& driver);
int run_decoder(const Fleet& fleet, const Place& place, const Channel& driver);
int run_proxy(const Fleet& fleet, const Channel& driver);

}  // namespace baton::soak
