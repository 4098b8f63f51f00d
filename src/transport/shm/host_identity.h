// Which kernel, namespaces and user a process runs under: can two processes share memory?
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "src/transport/shm/byte_layout.h"

namespace baton::transport::shm {

struct HostIdentity {
  Bytes16 boot_id{};
  std::uint64_t pid_namespace = 0;      ///< without a common one there is no peer pid, so no fence
  std::uint64_t network_namespace = 0;  ///< abstract sockets are per network namespace
  std::uint32_t user = 0;               ///< effective user id

  /// Of this process. What can't be read stays zero, and a zero matches nobody.
  static HostIdentity current();

  /// May a process of `sender` map this process's memory, as far as the two say themselves?
  /// Same boot, same namespaces, same user or root.
  bool can_serve(const HostIdentity& sender) const;

  bool operator==(const HostIdentity&) const = default;
};

/// The user rule on its own: Baton shares memory with its own user and with root.
bool user_allowed(std::uint32_t own_user, std::uint32_t peer_user);

/// docs/protocol-shm.md, "Offer".
std::string encode_offer(const HostIdentity& identity);
/// Nothing for bytes that are no offer of this version.
std::optional<HostIdentity> decode_offer(std::string_view bytes);

}  // namespace baton::transport::shm
