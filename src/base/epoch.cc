#include "src/base/epoch.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace baton {

Epoch Epoch::random() {
  Epoch epoch;
  std::size_t filled = 0;
  while (filled < epoch.bytes.size()) {
    const ssize_t got = getrandom(epoch.bytes.data() + filled, epoch.bytes.size() - filled, 0);
    if (got < 0 && errno != EINTR) {
      std::abort();  // Every kernel that Baton runs on has getrandom; without it nothing is safe.
    }
    filled += static_cast<std::size_t>(std::max<ssize_t>(got, 0));
  }
  return epoch;
}

StatusOr<Epoch> Epoch::from_bytes(std::string_view raw) {
  Epoch epoch;
  if (raw.size() != epoch.bytes.size()) {
    return absl::InvalidArgumentError(fmt::format("an epoch has 16 bytes, not {}", raw.size()));
  }
  std::memcpy(epoch.bytes.data(), raw.data(), raw.size());
  if (epoch == Epoch{}) {
    return absl::InvalidArgumentError(std::string("an epoch of zeros names nobody"));
  }
  return epoch;
}

std::string Epoch::hex() const {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    fmt::format_to(std::back_inserter(text), "{:02x}", byte);
  }
  return text;
}

std::string Epoch::brief() const {
  return hex().substr(0, 8);
}

}  // namespace baton
