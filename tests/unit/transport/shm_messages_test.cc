// Offers, tickets and packets: exactly the documented bytes, and nothing else is accepted (P8).
#include "src/transport/shm/shm_messages.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "src/transport/shm/host_identity.h"

namespace baton::transport::shm {
namespace {

Bytes16 bytes16(std::uint8_t first) {
  Bytes16 bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes.at(i) = static_cast<std::uint8_t>(first + i);
  }
  return bytes;
}

Bytes32 bytes32(std::uint8_t first) {
  Bytes32 bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes.at(i) = static_cast<std::byte>(first + i);
  }
  return bytes;
}

const Ticket kTicket{.receiver = {bytes16(0x10)},
                     .page_bytes = 0x0102030405060708,
                     .page_count = 0x11121314,
                     .socket_id = bytes16(0x40),
                     .secret = Secret(Secret::Bytes(bytes32(0x80)))};

const std::vector<Packet>& all_packets() {
  static const std::vector<Packet> packets{
      HelloPacket{.sender = {bytes16(2)}, .receiver = {bytes16(3)}, .nonce = bytes32(1)},
      WelcomePacket{.page_bytes = 4096, .file_bytes = 1U << 20U, .page_count = 17},
      RefusedPacket{RefusalReason::kInUse},
      MappedPacket{},
      RevokePacket{},
      ReleasedPacket{},
      ChallengePacket{.nonce = bytes32(4), .proof = bytes32(5)},
      ProofPacket{.proof = bytes32(6)}};
  return packets;
}

/// Bytes that differ from `bytes` by one bit, one byte less, or one more.
void for_each_damage(const std::string& bytes, std::size_t checked_bits,
                     const std::function<void(const std::string&)>& check) {
  for (std::size_t bit = 0; bit < checked_bits; ++bit) {
    std::string flipped = bytes;
    flipped.at(bit / 8) = static_cast<char>(flipped.at(bit / 8) ^ (1 << (bit % 8)));
    check(flipped);
  }
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    check(bytes.substr(0, size));
  }
  check(bytes + '\0');
  check(bytes + std::string(100'000, 'x'));
}

TEST(ShmTicket, HasTheDocumentedBytes) {
  const std::string bytes = encode_ticket(kTicket);
  ASSERT_EQ(bytes.size(), 84U);
  EXPECT_EQ(bytes.substr(0, 8), std::string("BSHM\2\0\0\0", 8));
  EXPECT_EQ(bytes[8], 0x10);
  EXPECT_EQ(bytes.substr(24, 12), "\x08\x07\x06\x05\x04\x03\x02\x01\x14\x13\x12\x11");
  EXPECT_EQ(bytes[36], 0x40);
  EXPECT_EQ(bytes[52], '\x80');
  EXPECT_EQ(bytes[83], '\x9F');
  EXPECT_EQ(*decode_ticket(bytes), kTicket);
}

TEST(ShmTicket, DamageIsRefused) {
  for_each_damage(encode_ticket(kTicket), 64, [](const std::string& bytes) {
    EXPECT_EQ(decode_ticket(bytes).status().code(), StatusCode::kDataLoss);
  });
}

TEST(ShmTicket, EmptyGeometryIsRefused) {
  Ticket ticket = kTicket;
  ticket.page_bytes = 0;
  EXPECT_FALSE(decode_ticket(encode_ticket(ticket)).ok());
  ticket = kTicket;
  ticket.page_count = 0;
  EXPECT_FALSE(decode_ticket(encode_ticket(ticket)).ok());
}

TEST(ShmPacket, SizesAreTheDocumentedOnes) {
  const std::vector<std::size_t> sizes{72, 32, 12, 8, 8, 8, 72, 40};
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const std::string bytes = encode_packet(all_packets()[i]);
    EXPECT_EQ(bytes.size(), sizes[i]);
    EXPECT_LE(bytes.size(), kMaxPacketBytes);
    EXPECT_EQ(bytes.substr(0, 6), std::string("BSHM\2\0", 6));
    EXPECT_EQ(bytes[6], static_cast<char>(i + 1));
  }
}

TEST(ShmPacket, ComesBack) {
  for (const Packet& packet : all_packets()) {
    const auto decoded = decode_packet(encode_packet(packet));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(*decoded, packet);
  }
}

TEST(ShmPacket, DamageIsNeverTakenForTheSamePacket) {
  for (const Packet& packet : all_packets()) {
    for_each_damage(encode_packet(packet), 64, [&](const std::string& bytes) {
      const auto decoded = decode_packet(bytes);
      EXPECT_TRUE(!decoded.ok() || !(*decoded == packet));
    });
  }
}

TEST(ShmPacket, UnknownReasonsAndReservedBytesAreRefused) {
  std::string refused = encode_packet(RefusedPacket{RefusalReason::kNotNow});
  for (const char reason : {'\0', '\5', '\xFF'}) {
    refused.at(8) = reason;
    EXPECT_FALSE(decode_packet(refused).ok());
  }
  std::string welcome = encode_packet(all_packets()[1]);
  welcome.back() = 1;
  EXPECT_FALSE(decode_packet(welcome).ok());
}

TEST(ShmOffer, ThisProcessKnowsWhereItIs) {
  const HostIdentity here = HostIdentity::current();
  EXPECT_NE(here.boot_id, Bytes16{});
  EXPECT_NE(here.pid_namespace, 0U);
  EXPECT_NE(here.network_namespace, 0U);
  EXPECT_TRUE(here.can_serve(here));
  const std::string offer = encode_offer(here);
  EXPECT_EQ(offer.size(), 44U);
  EXPECT_EQ(decode_offer(offer), here);
}

TEST(ShmOffer, EveryDifferenceRefuses) {
  const HostIdentity here{
      .boot_id = bytes16(9), .pid_namespace = 5, .network_namespace = 6, .user = 1000};
  ASSERT_TRUE(here.can_serve(here));
  const auto refuses = [&](const std::function<void(HostIdentity&)>& change) {
    HostIdentity sender = here;
    change(sender);
    EXPECT_FALSE(here.can_serve(sender));
  };
  refuses([](HostIdentity& sender) { sender.boot_id.back() ^= 1U; });
  refuses([](HostIdentity& sender) { sender.pid_namespace = 7; });
  refuses([](HostIdentity& sender) { sender.network_namespace = 7; });
  refuses([](HostIdentity& sender) { sender.user = 1001; });
}

TEST(ShmOffer, RootMayWriteToAnyUserButNoUserToRoot) {
  EXPECT_TRUE(user_allowed(1000, 0));
  EXPECT_TRUE(user_allowed(0, 0));
  EXPECT_FALSE(user_allowed(0, 1000));
}

TEST(ShmOffer, WhoDoesNotKnowWhereItIsMatchesNobody) {
  const HostIdentity nowhere{};
  EXPECT_FALSE(nowhere.can_serve(nowhere));
}

TEST(ShmOffer, DamageIsRefused) {
  const HostIdentity here = HostIdentity::current();
  for_each_damage(encode_offer(here), 64,
                  [](const std::string& bytes) { EXPECT_FALSE(decode_offer(bytes).has_value()); });
}

}  // namespace
}  // namespace baton::transport::shm
