// What an open stream carries (docs/protocol-tcp.md): encoding, and checked decoding. No sockets
// here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <variant>

#include "baton/status.h"

namespace baton::transport::tcp {

struct WriteHeader {
  std::uint32_t page = 0;
  std::uint64_t generation = 0;
  std::uint64_t offset_bytes = 0;
  std::uint64_t length_bytes = 0;
};

struct ReadHeader {
  std::uint32_t page = 0;
  std::uint64_t generation = 0;
  std::uint64_t offset_bytes = 0;
  std::uint32_t length_bytes = 0;
  std::uint32_t number = 0;  ///< on its stream; wraps around
};

/// Most bytes that one read asks for.
inline constexpr std::size_t kMaxReadBytes = 256U << 10U;
/// Reads of one stream that may be unanswered.
inline constexpr std::size_t kMaxReads = 64;

struct EndOfBatch {
  std::uint64_t sequence = 0;
};

/// Of all batches up to this one.
struct Acknowledgement {
  std::uint64_t sequence = 0;
};

/// So many bytes follow.
struct ReadData {
  std::uint32_t number = 0;
  std::uint64_t length_bytes = 0;
};

struct Heartbeat {};

/// What a sender says, and what a receiver says back.
using Frame = std::variant<WriteHeader, EndOfBatch, ReadHeader, Heartbeat>;
using Word = std::variant<Acknowledgement, ReadData, Heartbeat>;

using FrameBytes = std::array<std::byte, 32>;
using WordBytes = std::array<std::byte, 16>;

FrameBytes encode_frame(const Frame& frame);
WordBytes encode_word(const Word& word);

// kDataLoss for everything that the specification does not allow.
StatusOr<Frame> parse_frame(const FrameBytes& bytes);
StatusOr<Word> parse_word(const WordBytes& bytes);

}  // namespace baton::transport::tcp
