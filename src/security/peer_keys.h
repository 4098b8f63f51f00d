// Who's who: the public keys of a fleet, the same file on every machine.
//
//   # comment (mind the space)
//   <64 hex digits> <name> <sender | receiver | proxy | any> [address…]
//
// The role is what the key's owner may be. A server admits the keys of those who may be its
// clients; a client finds by its address the one key that the server there must have. Addresses
// are compared as text with what the configuration or the request says: "host:port", "host" (any
// port), or "*" (every address that no other line names).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "baton/status.h"
#include "src/security/key.h"

namespace baton::security {

enum class KeyRole : std::uint8_t { kSender, kReceiver, kProxy, kAny };
std::string_view to_string(KeyRole role);
/// kInvalidArgument naming the roles there are.
StatusOr<KeyRole> parse_role(std::string_view text);
/// kAny plays every role.
constexpr bool plays(KeyRole owner, KeyRole role) {
  return owner == KeyRole::kAny || owner == role;
}

struct PeerKey {
  PublicKey key;
  std::string name;
  KeyRole role = KeyRole::kAny;
  std::vector<std::string> addresses;
};

class PeerKeys {
 public:
  static constexpr std::size_t kMaxKeys = 4096;
  static constexpr std::size_t kMaxFileBytes = 1U << 20U;

  /// Errors name `origin`, the line, and what to do. A key or an address of a role that stands
  /// twice is one: nobody could say which line holds.
  static StatusOr<PeerKeys> parse(std::string_view text, std::string origin);
  static StatusOr<PeerKeys> load(const std::string& path);

  const PeerKey* find(const PublicKey& key) const;
  /// The key that the `role` at "host:port" must prove to have; kFailedPrecondition with the line
  /// to add if there is none.
  StatusOr<PublicKey> server_key(KeyRole role, std::string_view host_and_port) const;

  std::size_t size() const { return keys_.size(); }
  const std::map<PublicKey, PeerKey>& all() const { return keys_; }
  const std::string& origin() const { return origin_; }

 private:
  friend StatusOr<std::string> to_line(const PeerKey& peer);
  explicit PeerKeys(std::string origin) : origin_(std::move(origin)) {}
  Status add_line(std::string_view line);
  Status add_address(KeyRole role, const std::string& address, const PublicKey& key);

  std::string origin_;
  std::map<PublicKey, PeerKey> keys_;
  std::map<std::pair<KeyRole, std::string>, PublicKey> servers_;  // kAny stands for each of them
};

/// As one line of such a file; `name` and the addresses must be printable and without spaces.
StatusOr<std::string> to_line(const PeerKey& peer);

}  // namespace baton::security
