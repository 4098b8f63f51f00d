// Asks the system for the facts. Nothing is changed; ports are bound for a moment and given back.
#pragma once

#include <chrono>
#include <string>

#include "tools/doctor/facts.h"

namespace baton::doctor {

HostFacts probe_host();

/// Reads the file and tries what a backend would do at its start: bind every port, read the keys.
ConfigFacts probe_config(const std::string& path, const HostFacts& host);

/// Opens the devices as the ucx transport does, and closes them again.
Status probe_ucx(bool rdma, const Options& options);

inline constexpr std::chrono::seconds kConnectTimeout{2};
/// Resolves the name and looks at the route, without a word to the peer; with a port, connects to
/// it for at most kConnectTimeout and closes again.
PeerFacts probe_peer(const std::string& host, std::optional<std::uint16_t> port,
                     const HostFacts& facts);

/// Is it one of `facts.addresses`, or a loopback one? `ip` has 4 or 16 bytes.
bool is_own_address(const HostFacts& facts, std::string_view ip);

}  // namespace baton::doctor
