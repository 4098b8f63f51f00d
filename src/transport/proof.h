// How two peers show each other that they know a ticket's secret, without saying it.
// docs/protocol-proof.md has the steps and every byte.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "src/transport/secret.h"
#include "src/transport/transport.h"

namespace baton::transport {

/// Fresh for every connection, from each side: what makes a proof worthless anywhere else.
using Nonce = std::array<std::byte, 32>;
Nonce random_nonce();

using Proof = std::array<std::byte, 32>;

/// Who proves: so that a proof can't be sent back to who made it.
enum class ProofRole : std::uint8_t { kSender, kReceiver };

/// All that a proof says.
struct ProofContext {
  std::string_view plane;  ///< "tcp" or "shm"
  std::uint16_t version = 0;
  std::uint16_t stream = 0;
  std::uint16_t streams = 1;
  std::uint64_t connection = 0;
  PeerId sender;
  PeerId receiver;
  Nonce sender_nonce{};
  Nonce receiver_nonce{};
};

Proof make_proof(const Secret& secret, ProofRole role, const ProofContext& context);

/// Takes equally long whether and wherever `proof` is wrong.
bool proof_is_right(const Proof& proof, const Secret& secret, ProofRole role,
                    const ProofContext& context);

}  // namespace baton::transport
