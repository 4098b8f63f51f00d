// Checks on endpoints and identities that every network shares.
#pragma once

#include <string_view>

#include "baton/status.h"

namespace baton::control {

enum class EndpointUse { kBind, kConnect };

/// "tcp://host:port" or "ipc://path". A port is 1 to 65535; where binding, also 0 or '*' (any).
/// kInvalidArgument, naming the endpoint and what is wrong with it. Doesn't resolve the host.
Status check_endpoint(std::string_view endpoint, EndpointUse use);

/// ZeroMQ's rule: 1 to 255 bytes, the first of them not zero (ZeroMQ keeps those to itself).
Status check_identity(std::string_view identity);

/// "<kind>-<epoch>" of an identity "<kind>-<epoch>-<anything>"; all of any other.
std::string_view identity_owner(std::string_view identity);

/// Whether the identity is one of the Baton process with that epoch (in hex). Only its beginning
/// counts: what follows is the peer's to choose, and no key answers for it.
bool is_of_epoch(std::string_view identity, std::string_view epoch);
/// Which of its process's connections it is: the <n> of "baton-<epoch>-<n>-…"; 0 if it names none.
std::uint64_t connection_number(std::string_view identity);

/// kInvalidArgument if `payload_bytes` is above the limit that peers drop a connection for.
Status check_payload(std::size_t payload_bytes, std::size_t max_message_bytes);

}  // namespace baton::control
