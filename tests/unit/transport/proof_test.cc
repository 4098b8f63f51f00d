// The proof: the documented bytes under the documented key, and different for every difference
// (P8).
#include "src/transport/proof.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <new>
#include <string>
#include <vector>

namespace baton::transport {
namespace {

template <typename Bytes>
Bytes filled(std::uint8_t value) {
  Bytes bytes;
  bytes.fill(static_cast<typename Bytes::value_type>(value));
  return bytes;
}

Secret counting_secret() {
  std::array<std::byte, kSecretBytes> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes.at(i) = static_cast<std::byte>(0x40 + i);
  }
  return Secret(bytes);
}

ProofContext some_context() {
  return {.plane = "tcp",
          .version = 2,
          .stream = 1,
          .streams = 3,
          .connection = 0x0102030405060708,
          .sender = {filled<decltype(PeerId::bytes)>(0x11)},
          .receiver = {filled<decltype(PeerId::bytes)>(0x22)},
          .sender_nonce = filled<Nonce>(0x33),
          .receiver_nonce = filled<Nonce>(0x44)};
}

std::string hex(const Proof& proof) {
  std::string text;
  for (const std::byte byte : proof) {
    fmt::format_to(std::back_inserter(text), "{:02x}", static_cast<unsigned>(byte));
  }
  return text;
}

// Computed from docs/protocol-proof.md with another implementation (Python's hmac and hashlib).
TEST(Proof, HasTheDocumentedBytes) {
  ProofContext context = some_context();
  EXPECT_EQ(hex(make_proof(counting_secret(), ProofRole::kSender, context)),
            "3ab616679bf0c8a0078b01005ad8b73a29765759a6340bd2bd71d2ffa8556bce");
  EXPECT_EQ(hex(make_proof(counting_secret(), ProofRole::kReceiver, context)),
            "f7777a45de446f60179313289e9c77c3c0e34e481c3d220d2033c47d314a5cdb");
  context.plane = "shm";
  context.stream = 0;
  context.streams = 1;
  context.connection = 0;
  EXPECT_EQ(hex(make_proof(counting_secret(), ProofRole::kSender, context)),
            "5059f9f96a8107671e306a40dc589368a2eb802ac8e1bc32abfc5c1ec5fdd449");
  EXPECT_EQ(hex(make_proof(counting_secret(), ProofRole::kReceiver, context)),
            "abe7b7168e52b5135038b63a22230770c17303befc6ec268086d0f5bafdd45ce");
}

TEST(Proof, EveryDifferenceCounts) {
  const ProofContext right = some_context();
  const Secret secret = counting_secret();
  const Proof proof = make_proof(secret, ProofRole::kSender, right);
  EXPECT_TRUE(proof_is_right(proof, secret, ProofRole::kSender, right));
  EXPECT_FALSE(proof_is_right(proof, secret, ProofRole::kReceiver, right)) << "reflected";
  EXPECT_FALSE(proof_is_right(proof, Secret::random(), ProofRole::kSender, right));
  const std::vector<std::function<void(ProofContext&)>> changes{
      [](ProofContext& context) { context.plane = "shm"; },
      [](ProofContext& context) { context.version = 3; },
      [](ProofContext& context) { context.stream = 2; },
      [](ProofContext& context) { context.streams = 2; },
      [](ProofContext& context) { ++context.connection; },
      [](ProofContext& context) { std::swap(context.sender, context.receiver); },
      [](ProofContext& context) { context.sender.bytes.back() ^= 1U; },
      [](ProofContext& context) { context.receiver.bytes.front() ^= 1U; },
      [](ProofContext& context) { context.sender_nonce.back() ^= std::byte{1}; },
      [](ProofContext& context) { context.receiver_nonce.back() ^= std::byte{1}; }};
  for (std::size_t i = 0; i < changes.size(); ++i) {
    ProofContext wrong = right;
    changes[i](wrong);
    EXPECT_FALSE(proof_is_right(proof, secret, ProofRole::kSender, wrong)) << "change " << i;
  }
}

TEST(Proof, EveryBitIsCompared) {
  const Secret secret = counting_secret();
  const Proof proof = make_proof(secret, ProofRole::kSender, some_context());
  for (std::size_t bit = 0; bit < 8 * proof.size(); ++bit) {
    Proof wrong = proof;
    wrong.at(bit / 8) ^= static_cast<std::byte>(1U << (bit % 8));
    EXPECT_FALSE(proof_is_right(wrong, secret, ProofRole::kSender, some_context())) << bit;
  }
}

TEST(Proof, NoncesAndSecretsDiffer) {
  EXPECT_NE(random_nonce(), random_nonce());
  EXPECT_FALSE(Secret::random() == Secret::random());
  EXPECT_FALSE(Secret::random() == Secret());
}

TEST(Secret, ComparesEveryBitAndIsWipedAtItsEnd) {
  const Secret secret = counting_secret();
  for (std::size_t bit = 0; bit < 8 * kSecretBytes; ++bit) {
    std::array<std::byte, kSecretBytes> other{};
    std::copy(secret.bytes().begin(), secret.bytes().end(), other.begin());
    EXPECT_TRUE(secret == Secret(other));
    other.at(bit / 8) ^= static_cast<std::byte>(1U << (bit % 8));
    EXPECT_FALSE(secret == Secret(other)) << bit;
  }
  alignas(Secret) std::array<std::byte, sizeof(Secret)> storage{};
  auto* doomed = new (storage.data()) Secret(counting_secret());
  EXPECT_NE(storage.front(), std::byte{0});
  doomed->~Secret();
  // Read through the storage's own array: what is left after the end.
  const volatile std::byte* left = storage.data();
  for (std::size_t i = 0; i < storage.size(); ++i) {
    EXPECT_EQ(std::to_integer<int>(left[i]), 0) << i;
  }
}

}  // namespace
}  // namespace baton::transport
