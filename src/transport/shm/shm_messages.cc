#include "src/transport/shm/shm_messages.h"

#include <fmt/format.h>

namespace baton::transport::shm {
namespace {

constexpr std::uint32_t kMagic = 0x4D485342;  // "BSHM"
constexpr std::size_t kTicketBytes = 84;

enum PacketType : std::uint16_t {
  kHello = 1,
  kWelcome = 2,
  kRefused = 3,
  kMapped = 4,
  kRevoke = 5,
  kReleased = 6,
  kChallenge = 7,
  kProof = 8,
  kMessage = 9,
};

/// 0 for a type that does not exist.
std::size_t packet_bytes(std::uint16_t type) {
  switch (type) {
    case kHello:
    case kChallenge:
      return 72;
    case kProof:
      return 40;
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
    writer.put(hello.sender.bytes).put(hello.receiver.bytes).put_bytes(hello.nonce);
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
  void operator()(const ChallengePacket& challenge) {
    put_prefix(writer, kChallenge);
    writer.put_bytes(challenge.nonce).put_bytes(challenge.proof);
  }
  void operator()(const ProofPacket& packet) {
    put_prefix(writer, kProof);
    writer.put_bytes(packet.proof);
  }
};

StatusOr<Packet> decode_hello(RecordReader reader) {
  HelloPacket hello;
  hello.sender.bytes = reader.get_bytes16();
  hello.receiver.bytes = reader.get_bytes16();
  hello.nonce = reader.get_bytes32();
  return hello;
}

StatusOr<Packet> decode_challenge(RecordReader reader) {
  ChallengePacket challenge;
  challenge.nonce = reader.get_bytes32();
  challenge.proof = reader.get_bytes32();
  return challenge;
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
      .put_bytes(ticket.secret.bytes())
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
  ticket.secret = Secret(Secret::Bytes(reader.get_bytes32()));
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
    case kChallenge:
      return decode_challenge(reader);
    case kProof:
      return ProofPacket{reader.get_bytes32()};
    default:
      return ReleasedPacket{};
  }
}

std::string encode_message_head(std::uint32_t left_bytes) {
  RecordWriter writer;
  put_prefix(writer, kMessage);
  return writer.put(left_bytes).take();
}

std::optional<MessagePart> decode_message_part(std::string_view packet) {
  RecordReader reader(packet);
  if (packet.size() <= kMessageHeadBytes || packet.size() > kMaxPacketBytes ||
      read_prefix(reader) != kMessage) {
    return std::nullopt;
  }
  return MessagePart{reader.get<std::uint32_t>(), packet.substr(kMessageHeadBytes)};
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

ProofContext proof_context(const HelloPacket& hello, const Nonce& receiver_nonce) {
  return {.plane = "shm",
          .version = kVersion,
          .sender = hello.sender,
          .receiver = hello.receiver,
          .sender_nonce = hello.nonce,
          .receiver_nonce = receiver_nonce};
}

}  // namespace baton::transport::shm
