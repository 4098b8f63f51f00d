#include "src/transport/tcp/frames.h"

#include <fmt/format.h>

#include <span>

#include "src/transport/little_endian.h"
#include "src/transport/tcp/raw_bytes.h"

namespace baton::transport::tcp {
namespace {

enum Type : std::uint8_t { kWrite = 1, kEndOfBatch = 2, kAcknowledgement = 3, kHeartbeat = 4 };

struct FrameEncoder {
  FrameBytes bytes{};

  void operator()(const WriteHeader& header) {
    store(bytes.data(), static_cast<std::uint8_t>(kWrite));
    store(bytes.data() + 4, header.page);
    store(bytes.data() + 8, header.generation);
    store(bytes.data() + 16, header.offset_bytes);
    store(bytes.data() + 24, header.length_bytes);
  }
  void operator()(const EndOfBatch& end) {
    store(bytes.data(), static_cast<std::uint8_t>(kEndOfBatch));
    store(bytes.data() + 8, end.sequence);
  }
  void operator()(const Heartbeat& /*heartbeat*/) {
    store(bytes.data(), static_cast<std::uint8_t>(kHeartbeat));
  }
};

struct WordEncoder {
  WordBytes bytes{};

  void operator()(const Acknowledgement& ack) {
    store(bytes.data(), static_cast<std::uint8_t>(kAcknowledgement));
    store(bytes.data() + 8, ack.sequence);
  }
  void operator()(const Heartbeat& /*heartbeat*/) {
    store(bytes.data(), static_cast<std::uint8_t>(kHeartbeat));
  }
};

}  // namespace

FrameBytes encode_frame(const Frame& frame) {
  FrameEncoder encoder;
  std::visit(encoder, frame);
  return encoder.bytes;
}

StatusOr<Frame> parse_frame(const FrameBytes& bytes) {
  const auto type = load<std::uint8_t>(bytes.data());
  const auto all = std::span(bytes);
  if (type == kWrite && all_zero(all.subspan(1, 3))) {
    const WriteHeader header{.page = load<std::uint32_t>(bytes.data() + 4),
                             .generation = load<std::uint64_t>(bytes.data() + 8),
                             .offset_bytes = load<std::uint64_t>(bytes.data() + 16),
                             .length_bytes = load<std::uint64_t>(bytes.data() + 24)};
    if (header.length_bytes > 0) {
      return header;
    }
  }
  if (type == kEndOfBatch && all_zero(all.subspan(1, 7)) && all_zero(all.subspan(16))) {
    return EndOfBatch{load<std::uint64_t>(bytes.data() + 8)};
  }
  if (type == kHeartbeat && all_zero(all.subspan(1))) {
    return Heartbeat{};
  }
  return absl::DataLossError(fmt::format("a frame of type {} that makes no sense", type));
}

WordBytes encode_word(const Word& word) {
  WordEncoder encoder;
  std::visit(encoder, word);
  return encoder.bytes;
}

StatusOr<Word> parse_word(const WordBytes& bytes) {
  const auto type = load<std::uint8_t>(bytes.data());
  const auto all = std::span(bytes);
  if (type == kAcknowledgement && all_zero(all.subspan(1, 7))) {
    return Acknowledgement{load<std::uint64_t>(bytes.data() + 8)};
  }
  if (type == kHeartbeat && all_zero(all.subspan(1))) {
    return Heartbeat{};
  }
  return absl::DataLossError(
      fmt::format("neither an acknowledgement nor a heartbeat (type {})", type));
}

}  // namespace baton::transport::tcp
