#include "src/transport/secret.h"

#include <sodium.h>

#include <algorithm>
#include <cstdlib>

namespace baton::transport {

Secret Secret::random() {
  if (sodium_init() < 0) {
    std::abort();  // No random source: nothing that follows would be a secret.
  }
  Secret secret;
  randombytes_buf(secret.bytes_.data(), secret.bytes_.size());
  return secret;
}

Secret::Secret(Bytes bytes) {
  std::copy(bytes.begin(), bytes.end(), bytes_.begin());
}

Secret::~Secret() {
  sodium_memzero(bytes_.data(), bytes_.size());
}

bool operator==(const Secret& a, const Secret& b) {
  return sodium_memcmp(a.bytes_.data(), b.bytes_.data(), kSecretBytes) == 0;
}

}  // namespace baton::transport
