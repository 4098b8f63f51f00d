#include "src/transport/proof.h"

#include <sodium.h>

#include <cstring>

#include "src/transport/little_endian.h"

namespace baton::transport {
namespace {

static_assert(sizeof(Proof) == crypto_auth_BYTES);
static_assert(kSecretBytes == crypto_auth_KEYBYTES);

using Transcript = std::array<std::byte, 136>;

template <typename T>
void put(Transcript& transcript, std::size_t at, const T& value) {
  std::memcpy(transcript.data() + at, value.data(), value.size());
}

/// Every field has its own fixed place, so no two contexts have the same transcript.
Transcript transcript_of(ProofRole role, const ProofContext& context) {
  constexpr std::string_view kLabel = "BTNPROOF";
  constexpr std::size_t kMaxPlaneBytes = 8;
  Transcript transcript{};
  put(transcript, 0, kLabel);
  put(transcript, 8, context.plane.substr(0, kMaxPlaneBytes));
  put(transcript, 16, std::string_view(role == ProofRole::kSender ? "sender" : "receiver"));
  store(transcript.data() + 24, context.version);
  store(transcript.data() + 26, context.stream);
  store(transcript.data() + 28, context.streams);
  store(transcript.data() + 32, context.connection);
  put(transcript, 40, context.sender.bytes);
  put(transcript, 56, context.receiver.bytes);
  put(transcript, 72, context.sender_nonce);
  put(transcript, 104, context.receiver_nonce);
  return transcript;
}

const unsigned char* raw(const std::byte* bytes) {
  return reinterpret_cast<const unsigned char*>(bytes);
}

}  // namespace

Nonce random_nonce() {
  Nonce nonce;
  const Secret random = Secret::random();
  std::memcpy(nonce.data(), random.bytes().data(), nonce.size());
  return nonce;
}

Proof make_proof(const Secret& secret, ProofRole role, const ProofContext& context) {
  const Transcript transcript = transcript_of(role, context);
  Proof proof{};
  crypto_auth(reinterpret_cast<unsigned char*>(proof.data()), raw(transcript.data()),
              transcript.size(), raw(secret.bytes().data()));
  return proof;
}

bool proof_is_right(const Proof& proof, const Secret& secret, ProofRole role,
                    const ProofContext& context) {
  const Proof right = make_proof(secret, role, context);
  return sodium_memcmp(proof.data(), right.data(), right.size()) == 0;
}

}  // namespace baton::transport
