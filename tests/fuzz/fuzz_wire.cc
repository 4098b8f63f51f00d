// Every control message. What is understood can be said again and then means the same, and nothing
// that was understood is beyond the limits.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "src/wire/codec.h"
#include "tests/fuzz/require.h"

namespace baton::wire {
namespace {

using fuzz::require;

/// Small, so that inputs of a few hundred bytes reach each of them.
Limits tight_limits() {
  Limits limits;
  limits.max_message_bytes = 2048;
  limits.max_keys = 8;
  limits.max_key_bytes = 96;
  limits.max_string_bytes = 64;
  limits.max_blob_bytes = 256;
  limits.max_rank = 6;
  limits.max_named_requests = 4;
  limits.max_transports = 3;
  return limits;
}

/// What a message has of lists and strings, whatever it is.
void check_keys(const KeyList& keys, const Limits& limits) {
  require(keys.size() <= limits.max_keys, "no more keys than the limit");
  for (const std::string_view key : keys) {
    require(key.size() <= limits.max_key_bytes, "no longer key than the limit");
  }
}

void check_attempts(const std::vector<AttemptName>& names, const Limits& limits) {
  require(names.size() <= limits.max_named_requests, "no more named requests than the limit");
}

template <typename M>
void check_within(const M& m, const Limits& limits) {
  if constexpr (requires { m.keys; }) {
    check_keys(m.keys, limits);
  }
  if constexpr (requires { m.cached_keys; }) {
    check_keys(m.cached_keys, limits);
  }
  if constexpr (requires { m.req_id; }) {
    require(m.req_id.size() <= limits.max_string_bytes, "no longer req_id than the limit");
  }
  if constexpr (requires { m.message; }) {
    require(m.message.size() <= limits.max_string_bytes, "no longer message than the limit");
  }
  if constexpr (requires { m.shape; }) {
    require(m.shape.size() <= limits.max_rank, "no more dimensions than the limit");
  }
  if constexpr (requires { m.pages; }) {
    require(m.pages.size() <= limits.max_keys, "no more pages than the limit");
    require(m.pages.size() == m.generations.size(), "a generation for each page");
  }
  if constexpr (requires { m.states; }) {
    require(m.states.size() == m.pages.size(), "a state for each page");
  }
  if constexpr (requires { m.lengths; }) {
    require(m.lengths.size() == m.pages.size(), "a length for each page");
  }
  if constexpr (requires { m.requests; }) {
    check_attempts(m.requests, limits);
  }
  if constexpr (requires { m.unknown; }) {
    check_attempts(m.unknown, limits);
  }
  if constexpr (requires { m.living; }) {
    check_attempts(m.living, limits);
  }
  if constexpr (requires { m.transports; }) {
    require(m.transports.size() <= limits.max_transports, "no more transports than the limit");
  }
  if constexpr (requires { m.ticket; }) {
    require(m.ticket.size() <= limits.max_blob_bytes, "no longer ticket than the limit");
  }
}

void check(std::string_view bytes, const Limits& limits) {
  const StatusOr<Message> message = decode(bytes, limits);
  if (!message.ok()) {
    require(message.status().code() == StatusCode::kInvalidArgument, "an error of one kind");
    require(message.status().message().size() < 1024, "an error that fits a log line");
    return;
  }
  require(bytes.size() <= limits.max_message_bytes, "no longer message than the limit");
  std::visit([&limits](const auto& m) { check_within(m, limits); }, *message);
  // Not within `limits`: a short form of the same may have been longer when it was said.
  const std::string said = encode(*message);
  const StatusOr<Message> again = decode(said, Limits{});
  require(again.ok() && *again == *message, "what was understood can be said again");
  require(encode(*again) == said, "and is then said in the same way");
}

}  // namespace
}  // namespace baton::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace baton::wire;  // NOLINT(google-build-using-namespace)
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  static const Limits kTight = tight_limits();
  check(bytes, Limits{});
  check(bytes, kTight);
  return 0;
}
