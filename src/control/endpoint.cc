#include "src/control/endpoint.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <string>

namespace baton::control {
namespace {

constexpr std::string_view kTcp = "tcp://";
constexpr std::string_view kIpc = "ipc://";
constexpr std::size_t kMaxIdentityBytes = 255;
constexpr std::uint32_t kMaxPort = 65'535;

Status bad_endpoint(std::string_view endpoint, std::string_view why) {
  return absl::InvalidArgumentError(fmt::format("endpoint '{}': {}", endpoint, why));
}

bool port_is_valid(std::string_view port, EndpointUse use) {
  if (port == "*") {
    return use == EndpointUse::kBind;
  }
  std::uint32_t number = 0;
  const char* const end = port.data() + port.size();
  const auto [parsed_to, error] = std::from_chars(port.data(), end, number);
  const std::uint32_t lowest = use == EndpointUse::kBind ? 0 : 1;
  return error == std::errc{} && parsed_to == end && number >= lowest && number <= kMaxPort;
}

}  // namespace

Status check_endpoint(std::string_view endpoint, EndpointUse use) {
  if (endpoint.starts_with(kIpc)) {
    return endpoint.size() > kIpc.size() ? absl::OkStatus()
                                         : bad_endpoint(endpoint, "the path is empty");
  }
  if (!endpoint.starts_with(kTcp)) {
    return bad_endpoint(endpoint, "must start with tcp:// or ipc://");
  }
  const std::string_view address = endpoint.substr(kTcp.size());
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0) {
    return bad_endpoint(endpoint, "must be tcp://host:port");
  }
  if (!port_is_valid(address.substr(colon + 1), use)) {
    return bad_endpoint(endpoint, use == EndpointUse::kBind
                                      ? "the port must be 0 to 65535, or * for any"
                                      : "the port must be 1 to 65535");
  }
  return absl::OkStatus();
}

Status check_identity(std::string_view identity) {
  if (identity.empty() || identity.size() > kMaxIdentityBytes) {
    return absl::InvalidArgumentError(fmt::format("an identity has 1 to {} bytes; this one has {}",
                                                  kMaxIdentityBytes, identity.size()));
  }
  if (identity.front() == '\0') {
    return absl::InvalidArgumentError("an identity must not start with a zero byte");
  }
  return absl::OkStatus();
}

std::string_view identity_owner(std::string_view identity) {
  const std::size_t first = identity.find('-');
  return first == std::string_view::npos ? identity
                                         : identity.substr(0, identity.find('-', first + 1));
}

bool is_of_epoch(std::string_view identity, std::string_view epoch) {
  constexpr std::string_view kKind = "baton-";
  const std::string_view owner = identity_owner(identity);
  return owner.starts_with(kKind) && owner.substr(kKind.size()) == epoch;
}

std::uint64_t connection_number(std::string_view identity) {
  const std::string_view owner = identity_owner(identity);
  std::uint64_t number = 0;
  if (owner.size() < identity.size()) {
    const std::string_view rest = identity.substr(owner.size() + 1);
    std::from_chars(rest.data(), rest.data() + rest.size(), number);
  }
  return number;
}

Status check_payload(std::size_t payload_bytes, std::size_t max_message_bytes) {
  if (payload_bytes > max_message_bytes) {
    return absl::InvalidArgumentError(
        fmt::format("a message of {} bytes exceeds the limit of {} bytes: send less at a time, or "
                    "raise the limit on both sides",
                    payload_bytes, max_message_bytes));
  }
  return absl::OkStatus();
}

}  // namespace baton::control
