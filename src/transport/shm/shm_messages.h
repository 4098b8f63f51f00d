// Tickets and packets of the shm transport. docs/protocol-shm.md describes every byte.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "baton/status.h"
#include "src/transport/proof.h"
#include "src/transport/shm/byte_layout.h"
#include "src/transport/transport.h"

namespace baton::transport::shm {

/// Bytes of a message that one packet carries, at most: few packets for a message, none of them so
/// large that it fills a socket's buffer.
inline constexpr std::size_t kMaxMessagePartBytes = 96U << 10U;
/// What stands before them.
inline constexpr std::size_t kMessageHeadBytes = 12;
/// No packet is longer.
inline constexpr std::size_t kMaxPacketBytes = kMessageHeadBytes + kMaxMessagePartBytes;

inline constexpr std::uint16_t kVersion = 2;

struct Ticket {
  PeerId receiver;
  std::uint64_t page_bytes = 0;
  std::uint32_t page_count = 0;
  Bytes16 socket_id{};
  Secret secret;
  bool operator==(const Ticket&) const = default;
};

std::string encode_ticket(const Ticket& ticket);
/// kDataLoss for anything that encode_ticket() can't have made.
StatusOr<Ticket> decode_ticket(std::string_view bytes);

struct HelloPacket {
  PeerId sender;
  PeerId receiver;
  Nonce nonce{};
  bool operator==(const HelloPacket&) const = default;
};

struct ChallengePacket {
  Nonce nonce{};
  Proof proof{};
  bool operator==(const ChallengePacket&) const = default;
};

struct ProofPacket {
  Proof proof{};
  bool operator==(const ProofPacket&) const = default;
};

/// Comes with the memfd.
struct WelcomePacket {
  std::uint64_t page_bytes = 0;
  std::uint64_t file_bytes = 0;
  std::uint32_t page_count = 0;
  bool operator==(const WelcomePacket&) const = default;
};

enum class RefusalReason : std::uint32_t {
  kBadTicket = 1,
  kInUse = 2,
  kMalformed = 3,
  kNotNow = 4
};

struct RefusedPacket {
  RefusalReason reason = RefusalReason::kBadTicket;
  bool operator==(const RefusedPacket&) const = default;
};
struct MappedPacket {
  bool operator==(const MappedPacket&) const = default;
};
struct RevokePacket {
  bool operator==(const RevokePacket&) const = default;
};
/// The writer's word, after its last store and its munmap.
struct ReleasedPacket {
  bool operator==(const ReleasedPacket&) const = default;
};

using Packet = std::variant<HelloPacket, WelcomePacket, RefusedPacket, MappedPacket, RevokePacket,
                            ReleasedPacket, ChallengePacket, ProofPacket>;

std::string encode_packet(const Packet& packet);
/// kDataLoss for anything that encode_packet() can't have made.
StatusOr<Packet> decode_packet(std::string_view bytes);

/// A packet of type "message": a part of what one logic tells the other.
struct MessagePart {
  std::uint32_t left_bytes = 0;  ///< of the message, in the packets that follow
  std::string_view bytes;        ///< 1 to kMaxMessagePartBytes
};
/// What stands before a part's bytes.
std::string encode_message_head(std::uint32_t left_bytes);
/// Nothing if the packet is no part of a message.
std::optional<MessagePart> decode_message_part(std::string_view packet);

/// What a refusal means to the sender.
Status refusal_status(RefusalReason reason);

/// What both sides of this connection prove.
ProofContext proof_context(const HelloPacket& hello, const Nonce& receiver_nonce);

/// Magic, version and a type; records that are no packets have type 0.
void put_prefix(RecordWriter& writer, std::uint16_t type);
/// The type; nothing if magic or version are others.
std::optional<std::uint16_t> read_prefix(RecordReader& reader);

}  // namespace baton::transport::shm
