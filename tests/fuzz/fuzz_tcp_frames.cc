// Everything that the tcp data plane decodes. What is accepted is exactly what is encoded again,
// and a write that is let through lies inside its page.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string_view>

#include "src/transport/tcp/frames.h"
#include "src/transport/tcp/inbound_stream.h"
#include "src/transport/tcp/opening.h"
#include "tests/fuzz/require.h"

namespace baton::transport::tcp {
namespace {

using fuzz::require;
using Input = std::span<const std::byte>;

/// Messages have fixed sizes: the parser sees the head of the input, if there is enough of it.
template <typename Message, typename Parse, typename Encode>
void check_message(Input input, Parse parse, Encode encode_again, const char* what) {
  Message message;
  if (input.size() < message.size()) {
    return;
  }
  std::copy_n(input.begin(), message.size(), message.begin());
  const auto parsed = parse(message);
  if (parsed.ok()) {
    require(encode_again(*parsed) == message, what);
  }
}

void check_ticket(Input input) {
  const std::string_view bytes(reinterpret_cast<const char*>(input.data()), input.size());
  const auto ticket = parse_ticket(bytes);
  if (ticket.ok()) {
    require(encode(*ticket) == bytes, "a ticket comes back");
    require(ticket->streams >= 1 && ticket->streams <= kMaxStreams, "a ticket's streams");
  }
}

/// Of another version only the version is known.
void check_hello(Input input) {
  HelloBytes message;
  if (input.size() < message.size()) {
    return;
  }
  std::copy_n(input.begin(), message.size(), message.begin());
  const auto hello = parse_hello(message);
  if (hello.ok() && hello->version == kVersion) {
    require(encode(*hello) == message, "a hello comes back");
    require(hello->stream < hello->streams && hello->streams <= kMaxStreams, "a hello's streams");
  }
}

/// A challenge of another version keeps no trace of which.
void check_challenge(Input input) {
  check_message<ChallengeBytes>(
      input,
      [](const ChallengeBytes& bytes) -> StatusOr<Challenge> {
        auto challenge = parse_challenge(bytes);
        if (challenge.ok() && !challenge->same_version) {
          return absl::DataLossError("of another version");
        }
        return challenge;
      },
      [](const Challenge& challenge) { return encode(challenge); }, "a challenge comes back");
}

class AllowEverything final : public PageGuard {
 public:
  bool may_write(const PeerId& /*writer*/, std::uint32_t /*page*/, std::uint64_t /*generation*/,
                 std::uint64_t /*offset_bytes*/, std::uint64_t /*length_bytes*/) const override {
    return true;
  }
};

void check_bounds(const WriteHeader& write) {
  static const AllowEverything guard;
  static const std::unique_ptr<RegisteredBuffer> buffer = *RegisteredBuffer::create(4096, 3);
  const WriteTarget target{.buffer = buffer.get(), .guard = &guard, .stats = {}};
  if (target.allows(PeerId{}, write)) {
    require(write.page < 3, "an allowed write names a page");
    require(write.length_bytes <= 4096 && write.offset_bytes <= 4096 - write.length_bytes,
            "an allowed write lies inside its page");
  }
}

void check_frame(Input input) {
  check_message<FrameBytes>(input, parse_frame, encode_frame, "a frame comes back");
  FrameBytes message;
  if (input.size() < message.size()) {
    return;
  }
  std::copy_n(input.begin(), message.size(), message.begin());
  const auto frame = parse_frame(message);
  if (frame.ok() && std::holds_alternative<WriteHeader>(*frame)) {
    require(std::get<WriteHeader>(*frame).length_bytes > 0, "no empty write");
    check_bounds(std::get<WriteHeader>(*frame));
  }
}

}  // namespace
}  // namespace baton::transport::tcp

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace baton::transport::tcp;  // NOLINT(google-build-using-namespace)
  const auto input = std::as_bytes(std::span(data, size));
  check_ticket(input);
  check_hello(input);
  check_challenge(input);
  check_frame(input);
  check_message<ProofBytes>(input, parse_proof, encode_proof, "a proof comes back");
  check_message<VerdictBytes>(
      input, parse_verdict, [](Verdict verdict) { return encode(verdict); },
      "a verdict comes back");
  check_message<WordBytes>(input, parse_word, encode_word, "a word comes back");
  return 0;
}
