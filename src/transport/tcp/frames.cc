#include "src/transport/tcp/frames.h"

#include <fmt/format.h>

#include <span>

#include "src/transport/little_endian.h"
#include "src/transport/tcp/raw_bytes.h"

namespace baton::transport::tcp {
namespace {

enum Type : std::uint8_t {
  kWrite = 1,
  kEndOfBatch = 2,
  kAcknowledgement = 3,
  kHeartbeat = 4,
  kRead = 5,
  kReadData = 6
};

bool is_read_length(std::uint64_t bytes) {
  return bytes > 0 && bytes <= kMaxReadBytes;
}

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
  void operator()(const ReadHeader& header) {
    store(bytes.data(), static_cast<std::uint8_t>(kRead));
    store(bytes.data() + 4, header.page);
    store(bytes.data() + 8, header.generation);
    store(bytes.data() + 16, header.offset_bytes);
    store(bytes.data() + 24, header.length_bytes);
    store(bytes.data() + 28, header.number);
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
  void operator()(const ReadData& data) {
    store(bytes.data(), static_cast<std::uint8_t>(kReadData));
    store(bytes.data() + 4, data.number);
    store(bytes.data() + 8, data.length_bytes);
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
  if (type == kRead && all_zero(all.subspan(1, 3))) {
    const ReadHeader header{.page = load<std::uint32_t>(bytes.data() + 4),
                            .generation = load<std::uint64_t>(bytes.data() + 8),
                            .offset_bytes = load<std::uint64_t>(bytes.data() + 16),
                            .length_bytes = load<std::uint32_t>(bytes.data() + 24),
                            .number = load<std::uint32_t>(bytes.data() + 28)};
    if (is_read_length(header.length_bytes)) {
      return header;
    }
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
  if (type == kReadData && all_zero(all.subspan(1, 3))) {
    const ReadData data{.number = load<std::uint32_t>(bytes.data() + 4),
                        .length_bytes = load<std::uint64_t>(bytes.data() + 8)};
    if (is_read_length(data.length_bytes)) {
      return data;
    }
  }
  if (type == kHeartbeat && all_zero(all.subspan(1))) {
    return Heartbeat{};
  }
  return absl::DataLossError(fmt::format("a word of type {} that makes no sense", type));
}

}  // namespace baton::transport::tcp
