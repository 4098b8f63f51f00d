// What a process needs of its keys to speak and to listen.
#pragma once

#include "src/security/key.h"
#include "src/security/peer_keys.h"

namespace baton::security {

struct Credentials {
  SecretKey secret;
  PublicKey own = secret.public_key();
  PeerKeys peers;
  /// Connections to the proxy stay without keys and encryption: it is a stock LMCache one.
  bool plain_proxy = false;
};

}  // namespace baton::security
