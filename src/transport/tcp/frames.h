// The bytes of docs/protocol-tcp.md: encoding, and checked decoding. No sockets here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "baton/status.h"
#include "src/transport/tcp/address.h"
#include "src/transport/transport.h"

namespace baton::transport::tcp {

inline constexpr std::uint16_t kVersion = 1;

/// 128 random bits that let one sender in.
using Token = std::array<std::byte, 16>;
Token random_token();
/// Takes equally long whether and wherever they differ.
bool equal_in_constant_time(const Token& a, const Token& b);

struct Ticket {
  std::uint16_t streams = 1;
  Token token{};
  PeerId receiver;
  Address address;
};

struct Hello {
  std::uint16_t version = kVersion;
  std::uint16_t stream = 0;
  std::uint16_t streams = 1;
  Token token{};
  PeerId sender;
  PeerId receiver;
};

enum class Answer : std::uint16_t { kAccepted = 0, kRefused = 1, kOtherVersion = 2 };

struct WriteHeader {
  std::uint32_t page = 0;
  std::uint64_t generation = 0;
  std::uint64_t offset_bytes = 0;
  std::uint64_t length_bytes = 0;
};

struct EndOfBatch {
  std::uint64_t sequence = 0;
};

using Frame = std::variant<WriteHeader, EndOfBatch>;

using HelloBytes = std::array<std::byte, 64>;
using AnswerBytes = std::array<std::byte, 16>;
using FrameBytes = std::array<std::byte, 32>;
using AckBytes = std::array<std::byte, 16>;

std::string encode(const Ticket& ticket);
HelloBytes encode(const Hello& hello);
AnswerBytes encode(Answer answer);
FrameBytes encode(const WriteHeader& header);
FrameBytes encode(const EndOfBatch& end);
AckBytes encode_ack(std::uint64_t sequence);

// kDataLoss for everything that the specification does not allow.
StatusOr<Ticket> parse_ticket(std::string_view bytes);
/// Of another version only `version` is meaningful.
StatusOr<Hello> parse_hello(const HelloBytes& bytes);
StatusOr<Answer> parse_answer(const AnswerBytes& bytes);
StatusOr<Frame> parse_frame(const FrameBytes& bytes);
StatusOr<std::uint64_t> parse_ack(const AckBytes& bytes);

}  // namespace baton::transport::tcp
