#include "src/security/peer_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "src/base/text.h"
#include "src/security/key_file.h"

namespace baton::security {
namespace {

constexpr std::string_view kAnyAddress = "*";
constexpr std::size_t kMaxWordBytes = 260;  // a host name and a port
constexpr KeyRole kServerRoles[] = {KeyRole::kReceiver, KeyRole::kProxy};

Status invalid(const std::string& message) {
  return absl::InvalidArgumentError(message);
}

/// Up to a lone '#', which begins a comment.
std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  std::istringstream in{std::string(line)};
  for (std::string word; in >> word && word != "#";) {
    words.push_back(std::move(word));
  }
  return words;
}

Status check_word(std::string_view what, std::string_view word) {
  const bool printable =
      std::all_of(word.begin(), word.end(), [](char c) { return c > ' ' && c <= '~'; });
  if (word.empty() || word.size() > kMaxWordBytes || !printable || word.front() == '#') {
    return invalid(fmt::format(
        "{} {} must be 1 to {} printable characters without spaces, and not begin with #", what,
        quote(word), kMaxWordBytes));
  }
  return absl::OkStatus();
}

}  // namespace

std::string_view to_string(KeyRole role) {
  switch (role) {
    case KeyRole::kSender:
      return "sender";
    case KeyRole::kReceiver:
      return "receiver";
    case KeyRole::kProxy:
      return "proxy";
    case KeyRole::kAny:
      return "any";
  }
  return "";
}

StatusOr<KeyRole> parse_role(std::string_view text) {
  for (const KeyRole role :
       {KeyRole::kSender, KeyRole::kReceiver, KeyRole::kProxy, KeyRole::kAny}) {
    if (text == to_string(role)) {
      return role;
    }
  }
  return invalid(
      fmt::format("role {} is unknown; allowed: sender, receiver, proxy, any", quote(text)));
}

StatusOr<PeerKeys> PeerKeys::parse(std::string_view text, std::string origin) {
  PeerKeys keys(std::move(origin));
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    ++number;
    if (Status added = keys.add_line(text.substr(0, end)); !added.ok()) {
      return invalid(fmt::format("{}:{}: {}", keys.origin_, number, std::string(added.message())));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return keys;
}

StatusOr<PeerKeys> PeerKeys::load(const std::string& path) {
  auto text = read_key_file(path, kMaxFileBytes, FileSecrecy::kPublic);
  return text.ok() ? parse(*text, path) : text.status();
}

Status PeerKeys::add_line(std::string_view line) {
  const std::vector<std::string> words = words_of(line);
  if (words.empty()) {
    return absl::OkStatus();
  }
  if (words[0] == kSecretMark) {
    return invalid(
        "a secret key does not belong here: put the line of its .public file here, and "
        "make a new key if others could read this file");
  }
  auto key = PublicKey::parse(words[0]);
  if (!key.ok()) {
    return key.status();
  }
  if (words.size() < 3) {
    return invalid(
        "a line needs a key, a name, a role (sender, receiver, proxy or any), and for receivers "
        "and proxies the addresses that senders reach them at");
  }
  auto role = parse_role(words[2]);
  if (!role.ok()) {
    return role.status();
  }
  PeerKey peer{*key, words[1], *role, {words.begin() + 3, words.end()}};
  if (Status named = check_word("name", peer.name); !named.ok()) {
    return named;
  }
  for (const std::string& address : peer.addresses) {
    if (Status added = add_address(peer.role, address, *key); !added.ok()) {
      return added;
    }
  }
  if (keys_.size() >= kMaxKeys) {
    return invalid(fmt::format("more than {} keys", kMaxKeys));
  }
  if (const auto [at, fresh] = keys_.emplace(*key, std::move(peer)); !fresh) {
    return invalid(fmt::format("this key stands here twice, first as {}; role 'any' allows all",
                               quote(at->second.name)));
  }
  return absl::OkStatus();
}

Status PeerKeys::add_address(KeyRole role, const std::string& address, const PublicKey& key) {
  if (Status fine = check_word("address", address); !fine.ok()) {
    return fine;
  }
  if (role == KeyRole::kSender) {
    return invalid(fmt::format(
        "a sender is connected to by nobody: leave out the address {}, or change the role",
        quote(address)));
  }
  for (const KeyRole server : kServerRoles) {
    if (plays(role, server) && !servers_.emplace(std::pair(server, address), key).second) {
      return invalid(fmt::format("the address {} stands here twice for role {}", quote(address),
                                 to_string(server)));
    }
  }
  return absl::OkStatus();
}

const PeerKey* PeerKeys::find(const PublicKey& key) const {
  const auto found = keys_.find(key);
  return found == keys_.end() ? nullptr : &found->second;
}

StatusOr<PublicKey> PeerKeys::server_key(KeyRole role, std::string_view host_and_port) const {
  const std::string_view host = host_and_port.substr(0, host_and_port.rfind(':'));
  for (const std::string_view address : {host_and_port, host, kAnyAddress}) {
    const auto found = servers_.find(std::pair(role, std::string(address)));
    if (found != servers_.end()) {
      return found->second;
    }
  }
  return absl::FailedPreconditionError(fmt::format(
      "no public key is known for the {0} at {1}: add '<its key> <name> {0} {2}' to {3}",
      to_string(role), host_and_port, host, origin_));
}

StatusOr<std::string> to_line(const PeerKey& peer) {
  std::string line = fmt::format("{} {} {}", peer.key.hex(), peer.name, to_string(peer.role));
  for (const std::string& address : peer.addresses) {
    line += " " + address;
  }
  // What is written must be read back the same.
  PeerKeys read_back("");
  if (Status read = read_back.add_line(line); !read.ok()) {
    return read;
  }
  const PeerKey* const back = read_back.find(peer.key);
  if (back == nullptr || back->name != peer.name || back->addresses != peer.addresses) {
    return invalid(
        fmt::format("name {} and addresses must be words without spaces or #", quote(peer.name)));
  }
  return line;
}

}  // namespace baton::security
