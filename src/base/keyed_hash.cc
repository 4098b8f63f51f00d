#include "src/base/keyed_hash.h"

// Compiled into this file: what is hashed here is short, and a call would cost as much again.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>

#include "src/base/epoch.h"

namespace baton {

KeyedHash::KeyedHash() {
  static_assert(sizeof(secret_) >= XXH3_SECRET_SIZE_MIN);
  for (auto at = secret_.begin(); at != secret_.end();) {
    const Epoch random = Epoch::random();
    at = std::copy(random.bytes.begin(), random.bytes.end(), at);
  }
}

std::uint64_t KeyedHash::operator()(std::string_view text) const {
  return XXH3_64bits_withSecret(text.data(), text.size(), secret_.data(), secret_.size());
}

}  // namespace baton
