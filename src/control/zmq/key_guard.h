// Who may speak, and as whom: the decisions behind CURVE, without the sockets.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "src/base/scheduler.h"
#include "src/security/credentials.h"

namespace baton::control {

/// Of one network, for all its servers. On the loop.
class KeyGuard {
 public:
  /// The domains of ZAP (RFC 27): what kind of socket a peer wants to speak to.
  static constexpr std::string_view kServerDomain = "baton.server";
  static constexpr std::string_view kPullDomain = "baton.pull";

  /// How long the key of somebody who was cut off is refused.
  static constexpr Duration kPenalty = std::chrono::seconds(30);
  /// A key that uses more identities at a time than this loses its right to the oldest, so that
  /// one key can't make the guard forget what belongs to another.
  static constexpr std::size_t kMaxOwnersPerKey = 256;

  /// `credentials` may be null: then there are no keys, and nothing is refused.
  explicit KeyGuard(std::shared_ptr<const security::Credentials> credentials)
      : credentials_(std::move(credentials)) {}

  struct Verdict {
    bool admitted = false;
    std::string user = {};  ///< the key in hex: what the messages of the connection carry
    std::string why = {};   ///< for the log, if it was refused
  };
  Verdict admit(std::span<const std::uint8_t> key, std::string_view domain, TimePoint now);

  /// Whether a message that carries `user` comes from an admitted key, where there are keys.
  bool knows(std::string_view user) const { return credentials_ == nullptr || !user.empty(); }
  /// Whether the key `user` may send as `identity`. The first to use an owner's name has it.
  bool speaks_for(std::string_view user, std::string_view identity);

  void punish(std::string_view user, TimePoint now);
  /// The key that last sent as `identity`, if that is still known; empty without keys.
  std::string user_of(std::string_view identity) const;

 private:
  const std::shared_ptr<const security::Credentials> credentials_;
  std::map<std::string, TimePoint, std::less<>> punished_until_;  // admitted keys only
  std::map<std::string, std::string, std::less<>> user_of_owner_;
  std::map<std::string, std::deque<std::string>, std::less<>> owners_of_user_;
};

}  // namespace baton::control
