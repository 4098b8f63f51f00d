#include "src/backend/credentials.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "src/base/log.h"
#include "src/security/key_file.h"

namespace baton {
namespace {

using security::KeyRole;

Status of_option(std::string_view option, const Status& status) {
  return Status(status.code(), fmt::format("{}: {}", option, std::string(status.message())));
}

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

/// Peers with the same list will refuse this process.
void warn_of_own_role(const Options& options, const security::Credentials& credentials) {
  const security::PeerKey* const own = credentials.peers.find(credentials.own);
  for (const KeyRole role : {KeyRole::kSender, KeyRole::kReceiver}) {
    const bool is_played =
        role == KeyRole::kSender ? sends(options.pd_role) : receives(options.pd_role);
    if (own == nullptr || !is_played || plays(own->role, role)) {
      continue;
    }
    log::warning("this process is a {}, but {} gives its key ({}) the role {}", to_string(role),
                 options.pd_peer_keys_file, own->name, to_string(own->role));
  }
}

}  // namespace

StatusOr<std::shared_ptr<const security::Credentials>> load_credentials(const Options& options) {
  if (options.pd_security == Security::kNone) {
    if (receives(options.pd_role) && !is_loopback(options.pd_peer_host)) {
      log::warning(
          "pd_security is none and pd_peer_host is {}: whoever reaches the ports can read and "
          "change KV caches; see docs/security.md",
          options.pd_peer_host);
    }
    return nullptr;
  }
  auto secret = security::read_secret_key(options.pd_secret_key_file);
  if (!secret.ok()) {
    return of_option("pd_secret_key_file", secret.status());
  }
  auto peers = security::PeerKeys::load(options.pd_peer_keys_file);
  if (!peers.ok()) {
    return of_option("pd_peer_keys_file", peers.status());
  }
  auto credentials = std::make_shared<const security::Credentials>(
      security::Credentials{.secret = *std::move(secret),
                            .peers = *std::move(peers),
                            .plain_proxy = options.pd_proxy_plain});
  warn_of_own_role(options, *credentials);
  if (options.pd_proxy_plain) {
    log::warning("pd_proxy_plain: the proxy at {}:{} is told without keys and in the clear",
                 options.pd_proxy_host, options.pd_proxy_port);
  }
  return credentials;
}

}  // namespace baton
