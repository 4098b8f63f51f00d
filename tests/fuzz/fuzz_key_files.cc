// The peers' file and the keys in it. What is understood can be written again.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "src/security/peer_keys.h"
#include "tests/fuzz/require.h"

namespace baton::security {
namespace {

using fuzz::require;

void check_peers(std::string_view text) {
  const auto peers = PeerKeys::parse(text, "peers");
  if (!peers.ok()) {
    require(peers.status().code() == StatusCode::kInvalidArgument, "an error of one kind");
    require(peers.status().message().size() < 2048, "an error that fits a log line");
    return;
  }
  std::string written;
  for (const auto& [key, peer] : peers->all()) {
    require(key == peer.key && peers->find(key) == &peer, "a key is found");
    const auto line = to_line(peer);
    require(line.ok(), "a peer can be written");
    written += *line + "\n";
  }
  const auto again = PeerKeys::parse(written, "peers");
  require(again.ok() && again->size() == peers->size(), "the peers come back");
  for (const auto& [key, peer] : peers->all()) {
    const PeerKey* const back = again->find(key);
    require(back != nullptr && back->name == peer.name && back->role == peer.role &&
                back->addresses == peer.addresses,
            "a peer comes back");
    for (const std::string& address : peer.addresses) {
      for (const KeyRole role : {KeyRole::kReceiver, KeyRole::kProxy}) {
        const auto server = peers->server_key(role, address);
        require(!plays(peer.role, role) || (server.ok() && *server == key),
                "the server at an address must have the key of its line");
      }
    }
  }
}

void check_key(std::string_view text) {
  if (const auto key = PublicKey::parse(text); key.ok()) {
    const auto again = PublicKey::parse(key->hex());
    require(again.ok() && *again == *key, "a public key comes back");
  }
  // Whatever is refused may have been a secret with a slip of the pen: no error may quote it.
  const auto secret = SecretKey::parse(text);
  require(secret.ok() || secret.status() == SecretKey::parse("").status(), "no secret is quoted");
  require(secret.ok() == PublicKey::parse(text).ok(), "both kinds are written in the same way");
}

}  // namespace
}  // namespace baton::security

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  baton::security::check_peers(text);
  baton::security::check_key(text.substr(0, text.find('\n')));
  return 0;
}
