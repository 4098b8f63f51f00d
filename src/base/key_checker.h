// Checking many keys that are nearly alike.
#pragma once

#include <string>
#include <string_view>

#include "baton/status.h"

namespace baton {

/// CacheEngineKey::validate for one key after the other. The keys of a message differ in their
/// chunk hash alone: of one whose other parts are those of the key before it, only the hash is
/// looked at.
class KeyChecker {
 public:
  Status check(std::string_view key);

 private:
  std::string before_;  ///< of the last key that was right: all before its hash, …
  std::string behind_;  ///< … and behind it
};

/// Where a key's chunk hash stands: between its third and its fourth '@'. Both are the text's
/// length if it has fewer than three.
struct HashPlace {
  std::size_t begin;
  std::size_t end;
};
HashPlace find_hash(std::string_view key);

}  // namespace baton
