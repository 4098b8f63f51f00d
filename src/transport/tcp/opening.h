// The bytes that open a stream (docs/protocol-tcp.md): encoding, and checked decoding. No sockets
// here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "baton/status.h"
#include "src/transport/proof.h"
#include "src/transport/tcp/address.h"
#include "src/transport/transport.h"

namespace baton::transport::tcp {

/// Of all these bytes, here and on the ucx and nixl planes. It grows only together with a way to
/// speak the former version too: peers of two releases write to each other during an upgrade.
inline constexpr std::uint16_t kVersion = 2;
inline constexpr std::uint16_t kMaxStreams = 16;

struct Ticket {
  std::uint16_t streams = 1;
  Secret secret;
  PeerId receiver;
  Address address;
};

struct Hello {
  std::uint16_t version = kVersion;
  std::uint16_t stream = 0;
  std::uint16_t streams = 1;
  std::uint64_t connection = 1;
  PeerId sender;
  PeerId receiver;
  Nonce nonce{};
};

struct Challenge {
  /// False: another version is spoken here, and the rest is zero.
  bool same_version = true;
  Nonce nonce{};
  Proof proof{};
};

enum class Verdict : std::uint16_t { kAccepted = 0, kRefused = 1 };

using HelloBytes = std::array<std::byte, 88>;
using ChallengeBytes = std::array<std::byte, 80>;
using ProofBytes = std::array<std::byte, 48>;
using VerdictBytes = std::array<std::byte, 16>;

std::string encode(const Ticket& ticket);
HelloBytes encode(const Hello& hello);
ChallengeBytes encode(const Challenge& challenge);
ProofBytes encode_proof(const Proof& proof);
VerdictBytes encode(Verdict verdict);

// kDataLoss for everything that the specification does not allow.
StatusOr<Ticket> parse_ticket(std::string_view bytes);
/// Of another version only `version` is meaningful.
StatusOr<Hello> parse_hello(const HelloBytes& bytes);
StatusOr<Challenge> parse_challenge(const ChallengeBytes& bytes);
StatusOr<Proof> parse_proof(const ProofBytes& bytes);
StatusOr<Verdict> parse_verdict(const VerdictBytes& bytes);

/// What both sides of this stream prove.
ProofContext proof_context(const Hello& hello, const Nonce& receiver_nonce);

}  // namespace baton::transport::tcp
