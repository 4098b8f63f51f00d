#include "tests/conformance/tcp_stranger.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstdlib>

namespace baton::conformance {
namespace {

using namespace transport::tcp;  // NOLINT(google-build-using-namespace)
using transport::ProofRole;
using transport::Secret;

// Far more than any answer takes, also under sanitizers on a busy machine.
constexpr int kPatienceMs = 60'000;

sockaddr_in address_of(const std::string& ip, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  EXPECT_EQ(inet_pton(AF_INET, ip.c_str(), &address.sin_addr), 1);
  return address;
}

UniqueFd make_socket() {
  return UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

}  // namespace

RawStream::RawStream(std::uint16_t port, const std::string& from) : fd_(make_socket()) {
  const sockaddr_in source = address_of(from, 0);
  EXPECT_EQ(bind(fd_.get(), reinterpret_cast<const sockaddr*>(&source), sizeof(source)), 0);
  const sockaddr_in there = address_of("127.0.0.1", port);
  EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&there), sizeof(there)), 0);
}

void RawStream::say(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) {
      return;
    }
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
}

std::size_t RawStream::say_what_fits(std::span<const std::byte> bytes) {
  std::size_t total = 0;
  ssize_t sent = 0;
  do {
    total += static_cast<std::size_t>(sent);
    const auto rest = bytes.subspan(total);
    sent = send(fd_.get(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent > 0);
  return total;
}

bool RawStream::wait_readable() {
  pollfd ready{fd_.get(), POLLIN, 0};
  return poll(&ready, 1, kPatienceMs) == 1;
}

std::vector<std::byte> RawStream::hear(std::size_t count) {
  std::vector<std::byte> heard(count);
  std::size_t total = 0;
  while (total < count) {
    const ssize_t got =
        wait_readable() ? recv(fd_.get(), heard.data() + total, count - total, 0) : -1;
    if (got <= 0) {
      ADD_FAILURE() << "only " << total << " of " << count << " bytes came";
      return heard;
    }
    total += static_cast<std::size_t>(got);
  }
  return heard;
}

std::vector<std::byte> RawStream::hear_to_the_end() {
  std::vector<std::byte> heard;
  std::array<std::byte, 256> bytes{};
  while (true) {
    if (!wait_readable()) {
      ADD_FAILURE() << "the connection stays open";
      return heard;
    }
    const ssize_t got = recv(fd_.get(), bytes.data(), bytes.size(), 0);
    if (got <= 0) {
      return heard;
    }
    heard.insert(heard.end(), bytes.begin(), bytes.begin() + got);
  }
}

Challenge RawStream::greet(const Hello& hello) {
  say(encode(hello));
  const auto challenge = parse_challenge(hear_message<ChallengeBytes>());
  EXPECT_TRUE(challenge.ok()) << challenge.status();
  return challenge.value_or(Challenge{});
}

Verdict RawStream::prove(const Hello& hello, const Challenge& challenge, const Secret& secret) {
  say(encode_proof(make_proof(secret, ProofRole::kSender, proof_context(hello, challenge.nonce))));
  const auto verdict = parse_verdict(hear_message<VerdictBytes>());
  EXPECT_TRUE(verdict.ok()) << verdict.status();
  return verdict.value_or(Verdict::kRefused);
}

RawReceiver::RawReceiver() : listener_(make_socket()) {
  sockaddr_in address = address_of("127.0.0.1", 0);
  socklen_t bytes = sizeof(address);
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener_.get(), raw, bytes) != 0 || listen(listener_.get(), 16) != 0 ||
      getsockname(listener_.get(), raw, &bytes) != 0) {
    std::abort();
  }
  ticket_ = {.streams = 1,
             .secret = Secret::random(),
             .receiver = Epoch::random(),
             .address = {.ip = std::string("\x7f\0\0\1", 4), .port = ntohs(address.sin_port)}};
}

RawStream RawReceiver::accept() {
  return RawStream(UniqueFd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
}

RawStream RawReceiver::accept_properly() {
  RawStream stream = accept();
  const auto hello = parse_hello(stream.hear_message<HelloBytes>());
  EXPECT_TRUE(hello.ok()) << hello.status();
  const transport::Nonce nonce = transport::random_nonce();
  const auto context = proof_context(*hello, nonce);
  stream.say(encode(Challenge{.nonce = nonce,
                              .proof = make_proof(ticket_.secret, ProofRole::kReceiver, context)}));
  const auto proof = parse_proof(stream.hear_message<ProofBytes>());
  EXPECT_TRUE(proof.ok() && proof_is_right(*proof, ticket_.secret, ProofRole::kSender, context));
  stream.say(encode(Verdict::kAccepted));
  return stream;
}

}  // namespace baton::conformance
