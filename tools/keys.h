// `baton keys`: makes and shows the keys that docs/security.md speaks of.
#pragma once

#include <string>
#include <vector>

#include "src/security/peer_keys.h"

namespace baton {

struct GenerateKeys {
  std::string dir = ".";
  std::string name = "baton";
  security::KeyRole role = security::KeyRole::kAny;
  std::vector<std::string> addresses;
  bool force = false;
};

struct ShowKey {
  std::string path;
};

// Each returns the exit status.
int generate_keys(const GenerateKeys& command);
int show_key(const ShowKey& command);

}  // namespace baton
