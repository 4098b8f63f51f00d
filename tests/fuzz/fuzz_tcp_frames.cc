// Everything that the tcp data plane decodes. What is accepted is exactly what is encoded again,
// and a write that is let through lies inside its page.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string_view>

#include "src/transport/tcp/frames.h"
#include "src/transport/tcp/inbound_stream.h"
#include "src/transport/tcp/opening.h"
#include "src/transport/tcp/read_queue.h"
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
  bool may_read(const PeerId& /*reader*/, std::uint32_t /*page*/, std::uint64_t /*generation*/,
                std::uint64_t /*offset_bytes*/, std::uint64_t /*length_bytes*/) const override {
    return true;
  }
};

const PageGuard& allow_everything() {
  static const AllowEverything guard;
  return guard;
}

template <typename Header>
void check_bounds(const Header& header) {
  static const std::unique_ptr<RegisteredBuffer> buffer = *RegisteredBuffer::create(4096, 3);
  const PageAccess pages{.buffer = buffer.get(), .guard = &allow_everything(), .stats = {}};
  if (pages.allows(PeerId{}, header)) {
    require(header.page < 3, "what is allowed names a page");
    require(header.length_bytes <= 4096 && header.offset_bytes <= 4096 - header.length_bytes,
            "what is allowed lies inside its page");
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
  if (frame.ok() && std::holds_alternative<ReadHeader>(*frame)) {
    const auto& read = std::get<ReadHeader>(*frame);
    require(read.length_bytes > 0 && read.length_bytes <= kMaxReadBytes, "a read's length");
    check_bounds(read);
  }
}

/// The input as what a sender says: the receiver's queue of answers takes it, or cuts it off.
void check_reads(Input input) {
  static const std::unique_ptr<RegisteredBuffer> buffer = *RegisteredBuffer::create(4096, 3);
  const PageAccess pages{.buffer = buffer.get(), .guard = &allow_everything(), .stats = {}};
  AnswerQueue answers;
  bool show = false;
  for (; input.size() >= sizeof(FrameBytes); input = input.subspan(sizeof(FrameBytes))) {
    FrameBytes message;
    std::copy_n(input.begin(), message.size(), message.begin());
    const auto frame = parse_frame(message);
    if (!frame.ok() || !std::holds_alternative<ReadHeader>(*frame)) {
      continue;
    }
    if (!answers.push(std::get<ReadHeader>(*frame)).ok()) {
      return;
    }
    require(answers.waiting_reads() <= kMaxReads, "no more reads wait than may");
    show = !show;
    if (show) {
      const auto shown = answers.gather(100, *buffer, [&pages](const ReadHeader& read) {
        return pages.allows(PeerId{}, read) ? absl::OkStatus() : absl::PermissionDeniedError("");
      });
      if (!shown.ok()) {
        return;
      }
      std::size_t bytes = 0;
      for (const iovec& piece : *shown) {
        bytes += piece.iov_len;
      }
      require(bytes > 0 && bytes <= 100, "what is shown has its limit");
      answers.advance(bytes);
    }
  }
}

/// The input as what a receiver says to a reader that has asked for three ranges.
void check_read_data(Input input) {
  static std::array<std::byte, 3000> local{};
  ReadQueue reads;
  reads.push({ReadOp{.local = std::span(local).first(4)},
              ReadOp{.local = std::span(local).subspan(4, 2000)},
              ReadOp{.local = std::span(local).subspan(2004)}});
  while (reads.next_request()) {
  }
  while (input.size() >= sizeof(WordBytes)) {
    WordBytes message;
    std::copy_n(input.begin(), message.size(), message.begin());
    input = input.subspan(sizeof(WordBytes));
    const auto word = parse_word(message);
    if (!word.ok() || !std::holds_alternative<ReadData>(*word) ||
        !reads.begin_answer(std::get<ReadData>(*word)).ok()) {
      return;
    }
    const auto room = reads.room();
    require(room.data() >= local.data() && room.data() + room.size() <= local.data() + local.size(),
            "an answer lands in its range");
    require(room.size() == std::get<ReadData>(*word).length_bytes, "an answer has its length");
    const std::size_t bytes = std::min(room.size(), input.size());
    if (bytes == 0) {
      return;
    }
    std::copy_n(input.begin(), bytes, room.begin());
    reads.advance(bytes);
    input = input.subspan(bytes);
    if (!reads.room().empty()) {
      return;
    }
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
  check_reads(input);
  check_read_data(input);
  check_message<WordBytes>(input, parse_word, encode_word, "a word comes back");
  return 0;
}
