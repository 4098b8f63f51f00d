#include "src/transport/shm/shm_messages.h"

#include <fmt/format.h>

namespace baton::transport::shm {
namespace {

constexpr std::uint32_t kMagic = 0x4D485342;  // "BSHM"
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kTicketBytes = 68;

enum PacketType : std::uint16_t {
  kHello = 1,
  kWelcome = 2,
  kRefused = 3,
  kMapped = 4,
  kRevoke = 5,
  kReleased = 6,
};

/// 0 for a type that does not exist.
std::size_t packet_bytes(std::uint16_t type) {
  switch (type) {
    case kHello:
      return 56;
    case kWelcome:
      return 32;
    case kRefused:
      return 12;
    case kMapped:
    case kRevoke:
    case kReleased:
      return 8;
    default:
      return 0;
  }
}

struct PacketEncoder {
  RecordWriter writer;

  void operator()(const HelloPacket& hello) {
    put_prefix(writer, kHello);
    writer.put(hello.token).put(hello.sender.bytes).put(hello.receiver.bytes);
  }
  void operator()(const WelcomePacket& welcome) {
    put_prefix(writer, kWelcome);
    writer.put(welcome.page_bytes).put(welcome.file_bytes).put(welcome.page_count);
    writer.put(std::uint32_t{0});
  }
  void operator()(const RefusedPacket& refused) {
    put_prefix(writer, kRefused);
    writer.put(static_cast<std::uint32_t>(refused.reason));
  }
  void operator()(const MappedPacket& /*packet*/) { put_prefix(writer, kMapped); }
  void operator()(const RevokePacket& /*packet*/) { put_prefix(writer, kRevoke); }
  void operator()(const ReleasedPacket& /*packet*/) { put_prefix(writer, kReleased); }
};

StatusOr<Packet> decode_hello(RecordReader reader) {
  HelloPacket hello;
  hello.token = reader.get_bytes16();
  hello.sender.bytes = reader.get_bytes16();
  hello.receiver.bytes = reader.get_bytes16();
  return hello;
}

StatusOr<Packet> decode_welcome(RecordReader reader) {
  WelcomePacket welcome;
  welcome.page_bytes = reader.get<std::uint64_t>();
  welcome.file_bytes = reader.get<std::uint64_t>();
  welcome.page_count = reader.get<std::uint32_t>();
  if (reader.get<std::uint32_t>() != 0) {
    return absl::DataLossError("shm: reserved bytes of a welcome are not zero");
  }
  return welcome;
}

StatusOr<Packet> decode_refused(RecordReader reader) {
  const auto reason = reader.get<std::uint32_t>();
  if (reason < 1 || reason > 4) {
    return absl::DataLossError(fmt::format("shm: a refusal has no reason {}", reason));
  }
  return RefusedPacket{static_cast<RefusalReason>(reason)};
}

}  // namespace

void put_prefix(RecordWriter& writer, std::uint16_t type) {
  writer.put(kMagic).put(kVersion).put(type);
}

std::optional<std::uint16_t> read_prefix(RecordReader& reader) {
  const auto magic = reader.get<std::uint32_t>();
  const auto version = reader.get<std::uint16_t>();
  const auto type = reader.get<std::uint16_t>();
  return magic == kMagic && version == kVersion ? std::optional(type) : std::nullopt;
}

std::string encode_ticket(const Ticket& ticket) {
  RecordWriter writer;
  put_prefix(writer, 0);
  return writer.put(ticket.receiver.bytes)
      .put(ticket.page_bytes)
      .put(ticket.page_count)
      .put(ticket.socket_id)
      .put(ticket.token)
      .take();
}

StatusOr<Ticket> decode_ticket(std::string_view bytes) {
  RecordReader reader(bytes);
  if (bytes.size() != kTicketBytes || read_prefix(reader) != 0) {
    return absl::DataLossError(
        fmt::format("shm: {} bytes are no ticket of version {}, which has {}", bytes.size(),
                    kVersion, kTicketBytes));
  }
  Ticket ticket;
  ticket.receiver.bytes = reader.get_bytes16();
  ticket.page_bytes = reader.get<std::uint64_t>();
  ticket.page_count = reader.get<std::uint32_t>();
  ticket.socket_id = reader.get_bytes16();
  ticket.token = reader.get_bytes16();
  if (ticket.page_bytes == 0 || ticket.page_count == 0) {
    return absl::DataLossError(fmt::format("shm: a ticket names {} pages of {} bytes",
                                           ticket.page_count, ticket.page_bytes));
  }
  return ticket;
}

std::string encode_packet(const Packet& packet) {
  PacketEncoder encoder;
  std::visit(encoder, packet);
  return encoder.writer.take();
}

StatusOr<Packet> decode_packet(std::string_view bytes) {
  RecordReader reader(bytes);
  const auto type = read_prefix(reader);
  if (!type || packet_bytes(*type) == 0 || packet_bytes(*type) != bytes.size()) {
    return absl::DataLossError(
        fmt::format("shm: {} bytes are no packet of version {}", bytes.size(), kVersion));
  }
  switch (*type) {
    case kHello:
      return decode_hello(reader);
    case kWelcome:
      return decode_welcome(reader);
    case kRefused:
      return decode_refused(reader);
    case kMapped:
      return MappedPacket{};
    case kRevoke:
      return RevokePacket{};
    default:
      return ReleasedPacket{};
  }
}

Status refusal_status(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::kBadTicket:
      return absl::PermissionDeniedError(
          "shm: the receiver refused the ticket; repeat the handshake to get a new one");
    case RefusalReason::kInUse:
      return absl::PermissionDeniedError(
          "shm: the receiver refused the ticket: a connection that used it is still open");
    case RefusalReason::kMalformed:
      return absl::DataLossError("shm: the receiver could not read our hello");
    case RefusalReason::kNotNow:
      break;
  }
  return absl::UnavailableError(
      "shm: the receiver can't take this connection now; try again later");
}

bool equal_in_constant_time(const Bytes16& a, const Bytes16& b) {
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned>(a.at(i) ^ b.at(i));
  }
  return difference == 0;
}

}  // namespace baton::transport::shm
