// `baton doctor`: what this host has for handing KV caches over, what is wrong, what to do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "baton/status.h"

namespace baton::doctor {

struct Peer {
  std::string host;
  std::optional<std::uint16_t> port;
};

/// "host", "host:port", "::1", "[::1]:port". kInvalidArgument for anything else.
StatusOr<Peer> parse_peer(std::string_view text);

struct DoctorOptions {
  std::optional<std::string> config;
  std::optional<Peer> peer;
  bool json = false;
};

/// Returns the exit status: 1 if the configuration can't work here.
int run_doctor(const DoctorOptions& options);

}  // namespace baton::doctor
