#include "src/transport/tcp/opening.h"

#include <fmt/format.h>

#include <span>

#include "src/transport/little_endian.h"
#include "src/transport/tcp/raw_bytes.h"

namespace baton::transport::tcp {
namespace {

using Magic = std::array<char, 4>;
constexpr Magic kTicketMagic{'B', 'T', 'N', 'T'};
constexpr Magic kHelloMagic{'B', 'T', 'N', 'H'};
constexpr Magic kChallengeMagic{'B', 'T', 'N', 'C'};
constexpr Magic kProofMagic{'B', 'T', 'N', 'P'};
constexpr Magic kVerdictMagic{'B', 'T', 'N', 'A'};

constexpr std::size_t kTicketHeadBytes = 60;  // all but the address
constexpr std::uint16_t kIpv4 = 4;
constexpr std::uint16_t kIpv6 = 6;

enum ChallengeCode : std::uint16_t { kProve = 0, kOtherVersion = 2 };

Status nonsense(std::string message) {
  return absl::DataLossError(std::move(message));
}

template <std::size_t kBytes>
std::array<std::byte, kBytes> begin_message(const Magic& magic) {
  std::array<std::byte, kBytes> bytes{};
  copy_in(bytes.data(), magic);
  store(bytes.data() + 4, kVersion);
  return bytes;
}

bool starts_with(std::span<const std::byte> bytes, const Magic& magic) {
  return std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

bool is_of_this_version(std::span<const std::byte> bytes, const Magic& magic) {
  return starts_with(bytes, magic) && load<std::uint16_t>(bytes.data() + 4) == kVersion;
}

std::uint16_t family_of(std::size_t address_bytes) {
  return address_bytes == Address::kIpv4Bytes ? kIpv4 : kIpv6;
}

}  // namespace

std::string encode(const Ticket& ticket) {
  auto head = begin_message<kTicketHeadBytes>(kTicketMagic);
  store(head.data() + 6, ticket.streams);
  copy_in(head.data() + 8, ticket.secret.bytes());
  copy_in(head.data() + 40, ticket.receiver.bytes);
  store(head.data() + 56, ticket.address.port);
  store(head.data() + 58, family_of(ticket.address.ip.size()));
  std::string bytes(reinterpret_cast<const char*>(head.data()), head.size());
  return bytes.append(ticket.address.ip);
}

StatusOr<Ticket> parse_ticket(std::string_view bytes) {
  if (bytes.size() < kTicketHeadBytes) {
    return nonsense(fmt::format("a tcp ticket of {} bytes is too short", bytes.size()));
  }
  const auto head = std::as_bytes(std::span(bytes).first<kTicketHeadBytes>());
  if (!is_of_this_version(head, kTicketMagic)) {
    return nonsense(fmt::format("not a tcp ticket of version {}", kVersion));
  }
  Ticket ticket;
  ticket.streams = load<std::uint16_t>(head.data() + 6);
  ticket.secret = Secret(head.subspan<8, kSecretBytes>());
  copy_out(ticket.receiver.bytes, head.data() + 40);
  ticket.address.port = load<std::uint16_t>(head.data() + 56);
  ticket.address.ip = bytes.substr(kTicketHeadBytes);
  const auto family = load<std::uint16_t>(head.data() + 58);
  const std::size_t ip_bytes = ticket.address.ip.size();
  const bool whole = (ip_bytes == Address::kIpv4Bytes || ip_bytes == Address::kIpv6Bytes) &&
                     family == family_of(ip_bytes);
  const bool streams_fit = ticket.streams > 0 && ticket.streams <= kMaxStreams;
  if (!whole || !streams_fit || ticket.address.port == 0 || ticket.receiver == PeerId{}) {
    return nonsense(
        fmt::format("a tcp ticket of {} bytes with nonsense in it (family {}, port {}, {} streams "
                    "of at most {})",
                    bytes.size(), family, ticket.address.port, ticket.streams, kMaxStreams));
  }
  return ticket;
}

HelloBytes encode(const Hello& hello) {
  auto bytes = begin_message<sizeof(HelloBytes)>(kHelloMagic);
  store(bytes.data() + 4, hello.version);
  store(bytes.data() + 6, hello.stream);
  store(bytes.data() + 8, hello.streams);
  store(bytes.data() + 16, hello.connection);
  copy_in(bytes.data() + 24, hello.sender.bytes);
  copy_in(bytes.data() + 40, hello.receiver.bytes);
  copy_in(bytes.data() + 56, hello.nonce);
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
  hello.connection = load<std::uint64_t>(bytes.data() + 16);
  copy_out(hello.sender.bytes, bytes.data() + 24);
  copy_out(hello.receiver.bytes, bytes.data() + 40);
  copy_out(hello.nonce, bytes.data() + 56);
  if (!all_zero(std::span(bytes).subspan(10, 6)) || hello.stream >= hello.streams ||
      hello.streams > kMaxStreams || hello.connection == 0 || hello.sender == PeerId{}) {
    return nonsense(fmt::format("a hello with nonsense in it (stream {} of {}, connection {})",
                                hello.stream, hello.streams, hello.connection));
  }
  return hello;
}

ChallengeBytes encode(const Challenge& challenge) {
  auto bytes = begin_message<sizeof(ChallengeBytes)>(kChallengeMagic);
  if (!challenge.same_version) {
    store(bytes.data() + 6, static_cast<std::uint16_t>(kOtherVersion));
    return bytes;
  }
  copy_in(bytes.data() + 16, challenge.nonce);
  copy_in(bytes.data() + 48, challenge.proof);
  return bytes;
}

StatusOr<Challenge> parse_challenge(const ChallengeBytes& bytes) {
  const auto all = std::span(bytes);
  const auto code = load<std::uint16_t>(bytes.data() + 6);
  if (starts_with(bytes, kChallengeMagic) && code == kOtherVersion && all_zero(all.subspan(8))) {
    return Challenge{.same_version = false, .nonce = {}, .proof = {}};
  }
  if (!is_of_this_version(bytes, kChallengeMagic) || code != kProve ||
      !all_zero(all.subspan(8, 8))) {
    return nonsense(std::string("not a challenge"));
  }
  Challenge challenge;
  copy_out(challenge.nonce, bytes.data() + 16);
  copy_out(challenge.proof, bytes.data() + 48);
  return challenge;
}

ProofBytes encode_proof(const Proof& proof) {
  auto bytes = begin_message<sizeof(ProofBytes)>(kProofMagic);
  copy_in(bytes.data() + 16, proof);
  return bytes;
}

StatusOr<Proof> parse_proof(const ProofBytes& bytes) {
  if (!is_of_this_version(bytes, kProofMagic) || !all_zero(std::span(bytes).subspan(6, 10))) {
    return nonsense(std::string("not a proof"));
  }
  Proof proof;
  copy_out(proof, bytes.data() + 16);
  return proof;
}

VerdictBytes encode(Verdict verdict) {
  auto bytes = begin_message<sizeof(VerdictBytes)>(kVerdictMagic);
  store(bytes.data() + 6, static_cast<std::uint16_t>(verdict));
  return bytes;
}

StatusOr<Verdict> parse_verdict(const VerdictBytes& bytes) {
  const auto code = load<std::uint16_t>(bytes.data() + 6);
  if (!is_of_this_version(bytes, kVerdictMagic) || !all_zero(std::span(bytes).subspan(8)) ||
      code > static_cast<std::uint16_t>(Verdict::kRefused)) {
    return nonsense(std::string("not a verdict"));
  }
  return static_cast<Verdict>(code);
}

ProofContext proof_context(const Hello& hello, const Nonce& receiver_nonce) {
  return {.plane = "tcp",
          .version = kVersion,
          .stream = hello.stream,
          .streams = hello.streams,
          .connection = hello.connection,
          .sender = hello.sender,
          .receiver = hello.receiver,
          .sender_nonce = hello.nonce,
          .receiver_nonce = receiver_nonce};
}

}  // namespace baton::transport::tcp
