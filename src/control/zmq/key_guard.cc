#include "src/control/zmq/key_guard.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/control/endpoint.h"

namespace baton::control {
namespace {

using security::KeyRole;

bool may_enter(KeyRole role, std::string_view domain) {
  // Nobody but senders asks a server of ours. A proxy is told by both sides.
  return plays(role, KeyRole::kSender) ||
         (domain == KeyGuard::kPullDomain && plays(role, KeyRole::kReceiver));
}

}  // namespace

KeyGuard::Verdict KeyGuard::admit(std::span<const std::uint8_t> key, std::string_view domain,
                                  TimePoint now) {
  security::KeyBytes bytes{};
  if (credentials_ == nullptr || key.size() != bytes.size() ||
      (domain != kServerDomain && domain != kPullDomain)) {
    return {.why = "it is malformed"};
  }
  std::copy(key.begin(), key.end(), bytes.begin());
  const security::PublicKey public_key(bytes);
  const std::string user = public_key.hex();
  const security::PeerKey* const peer = credentials_->peers.find(public_key);
  if (peer == nullptr) {
    return {.why = fmt::format("key {} is not in {}", user, credentials_->peers.origin())};
  }
  // The other ranks of a group share this process's key; who has it could be this process anyway.
  if (public_key != credentials_->own && !may_enter(peer->role, domain)) {
    return {.why = fmt::format("key {} of {} has role {} in {}, which may not connect here", user,
                               peer->name, to_string(peer->role), credentials_->peers.origin())};
  }
  if (const auto found = punished_until_.find(user); found != punished_until_.end()) {
    if (now < found->second) {
      return {.why = fmt::format("key {} of {} was cut off for rubbish and must wait", user,
                                 peer->name)};
    }
    punished_until_.erase(found);
  }
  return {.admitted = true, .user = user};
}

bool KeyGuard::speaks_for(std::string_view user, std::string_view identity) {
  if (credentials_ == nullptr) {
    return true;
  }
  if (!knows(user)) {
    return false;
  }
  const std::string_view owner = identity_owner(identity);
  if (const auto found = user_of_owner_.find(owner); found != user_of_owner_.end()) {
    return found->second == user;
  }
  user_of_owner_.emplace(owner, user);
  std::deque<std::string>& owners = owners_of_user_[std::string(user)];
  owners.emplace_back(owner);
  if (owners.size() > kMaxOwnersPerKey) {
    user_of_owner_.erase(owners.front());
    owners.pop_front();
  }
  return true;
}

void KeyGuard::punish(std::string_view user, TimePoint now) {
  if (!user.empty()) {
    punished_until_[std::string(user)] = now + kPenalty;
  }
}

std::string KeyGuard::user_of(std::string_view identity) const {
  const auto found = user_of_owner_.find(identity_owner(identity));
  return found == user_of_owner_.end() ? std::string() : found->second;
}

}  // namespace baton::control
