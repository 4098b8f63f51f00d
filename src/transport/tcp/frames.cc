#include "src/transport/tcp/frames.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "src/transport/little_endian.h"

namespace baton::transport::tcp {
namespace {

using Magic = std::array<char, 4>;
constexpr Magic kTicketMagic{'B', 'T', 'N', 'T'};
constexpr Magic kHelloMagic{'B', 'T', 'N', 'H'};
constexpr Magic kAnswerMagic{'B', 'T', 'N', 'A'};

enum class Type : std::uint8_t { kWrite = 1, kEndOfBatch = 2, kAck = 3 };

constexpr std::size_t kTicketHeadBytes = 44;  // all but the address
constexpr std::uint16_t kIpv4 = 4;
constexpr std::uint16_t kIpv6 = 6;

Status nonsense(std::string message) {
  return absl::DataLossError(std::move(message));
}

template <typename T>
void copy_in(std::byte* to, const T& from) {
  std::memcpy(to, from.data(), from.size());
}

template <typename T>
void copy_out(T& to, const std::byte* from) {
  std::memcpy(to.data(), from, to.size());
}

bool starts_with(std::span<const std::byte> bytes, const Magic& magic) {
  return std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

bool all_zero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(),
                     [](std::byte byte) { return byte == std::byte{0}; });
}

std::uint16_t family_of(std::size_t address_bytes) {
  return address_bytes == Address::kIpv4Bytes ? kIpv4 : kIpv6;
}

}  // namespace

Token random_token() {
  Token token;
  const Epoch random = Epoch::random();
  std::memcpy(token.data(), random.bytes.data(), token.size());
  return token;
}

bool equal_in_constant_time(const Token& a, const Token& b) {
  // volatile: the compiler must not see that the loop could stop early.
  volatile std::uint8_t difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference =
        static_cast<std::uint8_t>(difference | static_cast<std::uint8_t>(a.at(i) ^ b.at(i)));
  }
  return difference == 0;
}

std::string encode(const Ticket& ticket) {
  std::array<std::byte, kTicketHeadBytes> head{};
  copy_in(head.data(), std::as_bytes(std::span(kTicketMagic)));
  store(head.data() + 4, kVersion);
  store(head.data() + 6, ticket.streams);
  copy_in(head.data() + 8, ticket.token);
  copy_in(head.data() + 24, ticket.receiver.bytes);
  store(head.data() + 40, ticket.address.port);
  store(head.data() + 42, family_of(ticket.address.ip.size()));
  std::string bytes(reinterpret_cast<const char*>(head.data()), head.size());
  return bytes.append(ticket.address.ip);
}

StatusOr<Ticket> parse_ticket(std::string_view bytes) {
  if (bytes.size() < kTicketHeadBytes) {
    return nonsense(fmt::format("a tcp ticket of {} bytes is too short", bytes.size()));
  }
  std::array<std::byte, kTicketHeadBytes> head;
  std::memcpy(head.data(), bytes.data(), head.size());
  const auto version = load<std::uint16_t>(head.data() + 4);
  if (!starts_with(head, kTicketMagic) || version != kVersion) {
    return nonsense(fmt::format("not a tcp ticket of version {}", kVersion));
  }
  Ticket ticket;
  ticket.streams = load<std::uint16_t>(head.data() + 6);
  copy_out(ticket.token, head.data() + 8);
  copy_out(ticket.receiver.bytes, head.data() + 24);
  ticket.address.port = load<std::uint16_t>(head.data() + 40);
  ticket.address.ip = bytes.substr(kTicketHeadBytes);
  const auto family = load<std::uint16_t>(head.data() + 42);
  const std::size_t ip_bytes = ticket.address.ip.size();
  const bool whole = (ip_bytes == Address::kIpv4Bytes || ip_bytes == Address::kIpv6Bytes) &&
                     family == family_of(ip_bytes);
  if (!whole || ticket.streams == 0 || ticket.address.port == 0 || ticket.receiver == PeerId{}) {
    return nonsense(fmt::format("a tcp ticket of {} bytes with nonsense in it (family {}, port {})",
                                bytes.size(), family, ticket.address.port));
  }
  return ticket;
}

HelloBytes encode(const Hello& hello) {
  HelloBytes bytes{};
  copy_in(bytes.data(), std::as_bytes(std::span(kHelloMagic)));
  store(bytes.data() + 4, hello.version);
  store(bytes.data() + 6, hello.stream);
  store(bytes.data() + 8, hello.streams);
  copy_in(bytes.data() + 16, hello.token);
  copy_in(bytes.data() + 32, hello.sender.bytes);
  copy_in(bytes.data() + 48, hello.receiver.bytes);
  return bytes;
}

StatusOr<Hello> parse_hello(const HelloBytes& bytes) {
  if (!starts_with(bytes, kHelloMagic)) {
    return nonsense(std::string("not a hello"));
  }
  Hello hello;
  hello.version = load<std::uint16_t>(bytes.data() + 4);
  if (hello.version != kVersion) {
    return hello;
  }
  hello.stream = load<std::uint16_t>(bytes.data() + 6);
  hello.streams = load<std::uint16_t>(bytes.data() + 8);
  copy_out(hello.token, bytes.data() + 16);
  copy_out(hello.sender.bytes, bytes.data() + 32);
  copy_out(hello.receiver.bytes, bytes.data() + 48);
  if (!all_zero(std::span(bytes).subspan(10, 6)) || hello.stream >= hello.streams ||
      hello.sender == PeerId{}) {
    return nonsense(
        fmt::format("a hello with nonsense in it (stream {} of {})", hello.stream, hello.streams));
  }
  return hello;
}

AnswerBytes encode(Answer answer) {
  AnswerBytes bytes{};
  copy_in(bytes.data(), std::as_bytes(std::span(kAnswerMagic)));
  store(bytes.data() + 4, kVersion);
  store(bytes.data() + 6, static_cast<std::uint16_t>(answer));
  return bytes;
}

StatusOr<Answer> parse_answer(const AnswerBytes& bytes) {
  const auto code = load<std::uint16_t>(bytes.data() + 6);
  if (!starts_with(bytes, kAnswerMagic) || !all_zero(std::span(bytes).subspan(8)) ||
      code > static_cast<std::uint16_t>(Answer::kOtherVersion)) {
    return nonsense(std::string("not an answer to a hello"));
  }
  return static_cast<Answer>(code);
}

FrameBytes encode(const WriteHeader& header) {
  FrameBytes bytes{};
  store(bytes.data(), static_cast<std::uint8_t>(Type::kWrite));
  store(bytes.data() + 4, header.page);
  store(bytes.data() + 8, header.generation);
  store(bytes.data() + 16, header.offset_bytes);
  store(bytes.data() + 24, header.length_bytes);
  return bytes;
}

FrameBytes encode(const EndOfBatch& end) {
  FrameBytes bytes{};
  store(bytes.data(), static_cast<std::uint8_t>(Type::kEndOfBatch));
  store(bytes.data() + 8, end.sequence);
  return bytes;
}

StatusOr<Frame> parse_frame(const FrameBytes& bytes) {
  const auto type = load<std::uint8_t>(bytes.data());
  const auto all = std::span(bytes);
  if (type == static_cast<std::uint8_t>(Type::kWrite) && all_zero(all.subspan(1, 3))) {
    const WriteHeader header{.page = load<std::uint32_t>(bytes.data() + 4),
                             .generation = load<std::uint64_t>(bytes.data() + 8),
                             .offset_bytes = load<std::uint64_t>(bytes.data() + 16),
                             .length_bytes = load<std::uint64_t>(bytes.data() + 24)};
    if (header.length_bytes > 0) {
      return header;
    }
  }
  if (type == static_cast<std::uint8_t>(Type::kEndOfBatch) && all_zero(all.subspan(1, 7)) &&
      all_zero(all.subspan(16))) {
    return EndOfBatch{load<std::uint64_t>(bytes.data() + 8)};
  }
  return nonsense(fmt::format("a frame of type {} that makes no sense", type));
}

AckBytes encode_ack(std::uint64_t sequence) {
  AckBytes bytes{};
  store(bytes.data(), static_cast<std::uint8_t>(Type::kAck));
  store(bytes.data() + 8, sequence);
  return bytes;
}

StatusOr<std::uint64_t> parse_ack(const AckBytes& bytes) {
  if (load<std::uint8_t>(bytes.data()) != static_cast<std::uint8_t>(Type::kAck) ||
      !all_zero(std::span(bytes).subspan(1, 7))) {
    return nonsense(std::string("not an acknowledgement"));
  }
  return load<std::uint64_t>(bytes.data() + 8);
}

}  // namespace baton::transport::tcp
