// Bytes of strangers on the tcp listener (P8): refused, counted, and nobody else is held up.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <functional>

#include "src/transport/tcp/tcp_transport.h"
#include "tests/conformance/conformance_test.h"

namespace baton::conformance {
namespace {

using namespace transport::tcp;  // NOLINT(google-build-using-namespace)
using transport::TcpTransport;

/// A socket that says whatever it likes.
class Stranger {
 public:
  explicit Stranger(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }

  void say(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) {
        return;  // The listener has had enough.
      }
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
  }

  /// Everything until the listener closes; that it does is what is tested.
  std::vector<std::byte> hear_to_the_end() {
    std::vector<std::byte> heard;
    std::array<std::byte, 256> bytes{};
    while (true) {
      pollfd ready{fd_.get(), POLLIN, 0};
      if (poll(&ready, 1, 60'000) != 1) {
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

  /// Exactly `count` bytes.
  std::vector<std::byte> hear(std::size_t count) {
    std::vector<std::byte> heard(count);
    const ssize_t got = recv(fd_.get(), heard.data(), count, MSG_WAITALL);
    EXPECT_EQ(got, static_cast<ssize_t>(count));
    return heard;
  }

 private:
  UniqueFd fd_;
};

class TcpHostileTest : public ConformanceTest {
 protected:
  void SetUp() override {
    ConformanceTest::SetUp();
    receiver_ = &add_node();
    writer_ = &add_node();
    connect(*writer_, *receiver_);
    fill({receiver_->buffer().data(), receiver_->buffer().size_bytes()}, 2);
  }

  TcpTransport& tcp() { return dynamic_cast<TcpTransport&>(receiver_->transport()); }
  std::uint16_t port() { return tcp().address().port; }
  transport::TcpStats stats() {
    transport::TcpStats stats;
    on_loop([&] { stats = tcp().stats(); });
    return stats;
  }

  /// A hello that is right for `peer`.
  Hello right_hello(const transport::PeerId& peer) {
    const auto ticket = parse_ticket(receiver_->expect(peer).value_or(""));
    EXPECT_TRUE(ticket.ok()) << ticket.status();
    return {.token = ticket->token, .sender = peer, .receiver = receiver_->id()};
  }

  Stranger authenticated_stranger(const transport::PeerId& peer) {
    Stranger stranger(port());
    stranger.say(encode(right_hello(peer)));
    EXPECT_TRUE(equal(stranger.hear(sizeof(AnswerBytes)), encode(Answer::kAccepted)));
    return stranger;
  }

  void expect_refused(const Hello& hello, Answer answer) {
    Stranger stranger(port());
    stranger.say(encode(hello));
    EXPECT_TRUE(equal(stranger.hear_to_the_end(), encode(answer)));
  }

  /// The stranger's connection ends, its page is as it was, and the honest writer goes on.
  void expect_ended(Stranger& stranger, const transport::PeerId& peer, StatusCode code) {
    EXPECT_TRUE(stranger.hear_to_the_end().empty());
    EXPECT_TRUE(run_until([&] { return receiver_->writer_gone(peer) == 1; }));
    on_loop([&] { EXPECT_EQ(receiver_->last_reason().code(), code); });
    expect_all_well();
  }

  void expect_all_well() {
    std::vector<std::byte> untouched(receiver_->buffer().size_bytes());
    fill(untouched, 2);
    on_loop([&] {
      EXPECT_TRUE(equal(untouched, {receiver_->buffer().data(), receiver_->buffer().size_bytes()}));
    });
    const ReceiptPtr receipt = writer_->write(receiver_->id(), {writer_->op(0, 1, 0, kPageBytes)});
    ASSERT_TRUE(await(receipt));
    EXPECT_TRUE(receipt->status.ok()) << receipt->status;
  }

  /// Runs `test` with a listener that has options of its own.
  void serve_apart(const transport::TcpOptions& options,
                   const std::function<void(TcpTransport&)>& test) {
    auto& reactor = dynamic_cast<EventLoopDriver&>(world().driver()).reactor();
    const auto apart = TcpTransport::create(reactor, Epoch::random(), options);
    ASSERT_TRUE(apart.ok()) << apart.status();
    on_loop([&] { EXPECT_TRUE((*apart)->attach(receiver_->buffer()).ok()); });
    test(**apart);
    on_loop([&] {
      (*apart)->close();
      (*apart)->join();
    });
  }

  Node* receiver_ = nullptr;
  Node* writer_ = nullptr;
  const transport::PeerId peer_ = Epoch::random();
};

TEST_P(TcpHostileTest, NoiseInsteadOfAHello) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    std::vector<std::byte> noise(seed % 2 == 0 ? sizeof(HelloBytes) : 100'000);
    fill(noise, seed);
    Stranger stranger(port());
    stranger.say(noise);
    EXPECT_TRUE(stranger.hear_to_the_end().empty());
  }
  EXPECT_EQ(stats().rejected_hellos, 20U);
  expect_all_well();
}

TEST_P(TcpHostileTest, HellosThatAreWrongInOnePlace) {
  const Hello right = right_hello(peer_);
  Hello wrong = right;
  wrong.token.back() ^= std::byte{1};
  expect_refused(wrong, Answer::kRefused);
  wrong = right;
  wrong.sender = Epoch::random();
  expect_refused(wrong, Answer::kRefused);
  wrong = right;
  wrong.receiver = Epoch::random();
  expect_refused(wrong, Answer::kRefused);
  wrong = right;
  wrong.streams = 2;
  expect_refused(wrong, Answer::kRefused);
  wrong = right;
  wrong.version = 2;
  expect_refused(wrong, Answer::kOtherVersion);
  EXPECT_EQ(stats().rejected_hellos, 5U);
  on_loop([&] { EXPECT_EQ(receiver_->connected(peer_), 0); });
  expect_all_well();
}

TEST_P(TcpHostileTest, NothingIsCarriedOverFromATruncatedHello) {
  {
    Stranger stranger(port());
    const HelloBytes hello = encode(right_hello(peer_));
    stranger.say(std::span(hello).first(sizeof(hello) - 1));
  }
  expect_refused({.token = random_token(), .sender = peer_, .receiver = receiver_->id()},
                 Answer::kRefused);
  expect_all_well();
}

TEST_P(TcpHostileTest, SilentConnectionsDoNotShutOutOthers) {
  std::vector<std::unique_ptr<Stranger>> silent;
  for (std::size_t i = 0; i < 2 * transport::TcpOptions{}.max_unauthenticated; ++i) {
    silent.push_back(std::make_unique<Stranger>(port()));
    silent.back()->say(std::array{std::byte{'B'}});
  }
  const Stranger stranger = authenticated_stranger(peer_);
  expect_all_well();
}

TEST_P(TcpHostileTest, TheOldestSilentConnectionMakesRoom) {
  transport::TcpOptions options;
  options.max_unauthenticated = 2;
  options.hello_timeout = std::chrono::hours(1);
  serve_apart(options, [&](TcpTransport& apart) {
    Stranger oldest(apart.address().port);
    const Stranger second(apart.address().port);
    const Stranger third(apart.address().port);
    EXPECT_TRUE(oldest.hear_to_the_end().empty());
    on_loop([&] { EXPECT_EQ(apart.stats().expired_hellos, 1U); });
  });
}

TEST_P(TcpHostileTest, ASlowHelloIsNotWaitedForLong) {
  transport::TcpOptions options;
  options.hello_timeout = std::chrono::milliseconds(20);
  serve_apart(options, [&](TcpTransport& apart) {
    Stranger stranger(apart.address().port);
    stranger.say(std::array{std::byte{'B'}, std::byte{'T'}});
    EXPECT_TRUE(stranger.hear_to_the_end().empty());
    on_loop([&] { EXPECT_EQ(apart.stats().expired_hellos, 1U); });
  });
}

TEST_P(TcpHostileTest, FramesThatMakeNoSense) {
  std::vector<FrameBytes> frames;
  FrameBytes noise;
  fill(noise, 5);
  frames.push_back(noise);
  frames.push_back(FrameBytes{});
  frames.push_back(encode(WriteHeader{.page = 1, .generation = 1, .length_bytes = 0}));
  frames.push_back(encode(EndOfBatch{0}));
  frames.push_back(encode(EndOfBatch{2}));
  for (const FrameBytes& frame : frames) {
    const transport::PeerId peer = Epoch::random();
    Stranger stranger = authenticated_stranger(peer);
    stranger.say(frame);
    expect_ended(stranger, peer, StatusCode::kDataLoss);
    fill({receiver_->buffer().data(), receiver_->buffer().size_bytes()}, 2);
  }
  EXPECT_EQ(stats().broken_streams, frames.size());
}

TEST_P(TcpHostileTest, AWriteOfMoreThanThereIs) {
  Stranger stranger = authenticated_stranger(peer_);
  stranger.say(encode(WriteHeader{
      .page = 1, .generation = 1, .offset_bytes = 0, .length_bytes = ~std::uint64_t{0}}));
  expect_ended(stranger, peer_, StatusCode::kPermissionDenied);
  EXPECT_EQ(stats().rejected_writes, 1U);
}

TEST_P(TcpHostileTest, TheBytesOfARefusedWriteAreNotPlaced) {
  Stranger stranger = authenticated_stranger(peer_);
  stranger.say(encode(WriteHeader{.page = 1, .generation = 2, .length_bytes = kPageBytes}));
  stranger.say(std::vector<std::byte>(kPageBytes, std::byte{0x77}));
  expect_ended(stranger, peer_, StatusCode::kPermissionDenied);
}

TEST_P(TcpHostileTest, AHalfSentWriteHoldsUpNobody) {
  Stranger stranger = authenticated_stranger(peer_);
  stranger.say(encode(WriteHeader{.page = 9, .generation = 1, .length_bytes = kPageBytes}));
  expect_all_well();
  ASSERT_TRUE(await(receiver_->revoke(peer_)));
  EXPECT_TRUE(stranger.hear_to_the_end().empty()) << "revoke closes it";
}

TEST_P(TcpHostileTest, WhatIsSentWithTheHelloIsReadAsFrames) {
  Stranger stranger(port());
  const HelloBytes hello = encode(right_hello(peer_));
  const FrameBytes end = encode(EndOfBatch{1});
  std::vector<std::byte> all(hello.begin(), hello.end());
  all.insert(all.end(), end.begin(), end.end());
  stranger.say(all);
  stranger.hear(sizeof(AnswerBytes));
  EXPECT_TRUE(equal(stranger.hear(sizeof(AckBytes)), encode_ack(1)));
}

INSTANTIATE_TEST_SUITE_P(Conformance, TcpHostileTest,
                         ::testing::Values(Maker{"tcp", make_tcp_under_test}),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace baton::conformance
