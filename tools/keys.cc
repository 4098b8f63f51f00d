#include "tools/keys.h"

#include <fmt/format.h>

#include <cstdio>
#include <string>

#include "src/security/key_file.h"

namespace baton {
namespace {

int fail(const Status& status) {
  fmt::print(stderr, "baton keys: {}\n", std::string(status.message()));
  return 1;
}

constexpr std::string_view kWhatGoesWhere = R"(
{0} stays on this machine, readable by the user that the process runs as, and nobody else.
The line of {1} goes into one list of the whole fleet, the same on every machine:
  {2}
{3}
Then every process is told, in its configuration:
  pd_security: curve
  pd_secret_key_file: {0}
  pd_peer_keys_file: /etc/baton/peers.keys   # the list
)";

}  // namespace

int generate_keys(const GenerateKeys& command) {
  const auto written = security::write_new_key(command.dir, command.name, command.role,
                                               command.addresses, command.force);
  if (!written.ok()) {
    return fail(written.status());
  }
  fmt::print("wrote {} (secret) and {} (public)\n", written->secret_path, written->public_path);
  const bool lacks_address =
      command.role != security::KeyRole::kSender && command.addresses.empty();
  fmt::print(fmt::runtime(kWhatGoesWhere), written->secret_path, written->public_path,
             written->public_line,
             lacks_address
                 ? "If senders connect to it, put its address at the end of that line (or "
                   "give --address).\n"
                 : "");
  return 0;
}

int show_key(const ShowKey& command) {
  auto text = security::read_key_file(command.path, security::PeerKeys::kMaxFileBytes,
                                      security::FileSecrecy::kPublic);
  if (!text.ok()) {
    return fail(text.status());
  }
  const bool is_secret = text->find(fmt::format("{} ", security::kSecretMark)) != std::string::npos;
  security::wipe(*text);
  if (is_secret) {
    const auto secret = security::read_secret_key(command.path);
    if (!secret.ok()) {
      return fail(secret.status());
    }
    fmt::print("{}\n", secret->public_key().hex());
    return 0;
  }
  const auto peers = security::PeerKeys::load(command.path);
  if (!peers.ok()) {
    return fail(peers.status());
  }
  for (const auto& [key, peer] : peers->all()) {
    fmt::print("{}\n", security::to_line(peer).value_or(key.hex()));
  }
  return 0;
}

}  // namespace baton
