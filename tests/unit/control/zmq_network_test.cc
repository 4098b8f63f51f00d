// What only real sockets show: stock peers, hostile peers, full queues, fairness.
#include "src/control/zmq/zmq_network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zmq.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "src/control/zmq/message_pump.h"
#include "tests/unit/control/harness.h"
#include "tests/unit/control/raw_peer.h"

namespace baton::control {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Payloads = std::vector<std::string>;

void ignore_payload(std::string_view) {}

class ZmqNetworkTest : public ::testing::Test {
 protected:
  /// A server that sends every payload back.
  OnLoop<Server> bind_echo() {
    auto server = bind_server(harness_, harness_.any_endpoint(),
                              [this](const Route& from, std::string_view payload) {
                                echo_->send(from, payload).IgnoreError();
                              });
    echo_ = &*(*server);
    return server;
  }

  std::uint64_t malformed() {
    std::uint64_t count = 0;
    harness_.run([&] { count = harness_.zmq().counters().malformed_messages; });
    return count;
  }

  void expect_served(const std::string& endpoint) {
    RawZmq peer(ZMQ_REQ);
    peer.connect(endpoint);
    peer.send({"still there?"});
    EXPECT_THAT(peer.receive(), ElementsAre("still there?"));
  }

  ZmqHarness harness_;
  Server* echo_ = nullptr;
};

// ---- stock peers -------------------------------------------------------------------------------

TEST_F(ZmqNetworkTest, ServesAStockReq) {
  auto server = bind_echo();
  RawZmq peer(ZMQ_REQ);
  peer.connect(server->endpoint());
  for (const std::string text : {"one", "", "three"}) {
    peer.send({text});
    EXPECT_THAT(peer.receive(), ElementsAre(text));
  }
}

TEST_F(ZmqNetworkTest, ServesAStockDealer) {
  auto server = bind_echo();
  RawZmq peer(ZMQ_DEALER);
  peer.connect(server->endpoint());
  peer.send({"", "one"});
  peer.send({"", "two"});
  EXPECT_THAT(peer.receive(), ElementsAre("", "one"));
  EXPECT_THAT(peer.receive(), ElementsAre("", "two"));
}

TEST_F(ZmqNetworkTest, AClientLooksLikeAReqToAStockRep) {
  RawZmq peer(ZMQ_REP);
  Payloads answers;
  auto client = connect_client(harness_, peer.bind(), "c",
                               [&](std::string_view payload) { answers.emplace_back(payload); });
  ASSERT_TRUE(client.send("first").ok());
  ASSERT_TRUE(client.send("second, without waiting").ok());
  EXPECT_THAT(peer.receive(), ElementsAre("first"));
  peer.send({"answer 1"});
  EXPECT_THAT(peer.receive(), ElementsAre("second, without waiting"));
  peer.send({"answer 2"});
  ASSERT_TRUE(harness_.await([&] { return answers.size() == 2; }));
  EXPECT_THAT(answers, ElementsAre("answer 1", "answer 2"));
}

TEST_F(ZmqNetworkTest, AClientShowsItsIdentityToAStockRouter) {
  RawZmq peer(ZMQ_ROUTER);
  Payloads answers;
  const std::string identity("sender-\0\xff", 9);
  auto client = connect_client(harness_, peer.bind(), identity,
                               [&](std::string_view payload) { answers.emplace_back(payload); });
  ASSERT_TRUE(client.send("hello").ok());
  EXPECT_THAT(peer.receive(), ElementsAre(identity, "", "hello"));
  peer.send({identity, "", "answer"});
  ASSERT_TRUE(harness_.await([&] { return answers.size() == 1; }));
  EXPECT_THAT(answers, ElementsAre("answer"));
}

TEST_F(ZmqNetworkTest, PushesToAStockPull) {
  RawZmq peer(ZMQ_PULL);
  auto push = connect_push(harness_, peer.bind());
  ASSERT_TRUE(harness_.await([&] { return push->send("done").ok(); }));
  EXPECT_THAT(peer.receive(), ElementsAre("done"));
}

TEST_F(ZmqNetworkTest, PullsFromStockPushes) {
  Payloads got;
  auto pull = bind_pull(harness_, harness_.any_endpoint(),
                        [&](std::string_view payload) { got.emplace_back(payload); });
  RawZmq first(ZMQ_PUSH);
  RawZmq second(ZMQ_PUSH);
  first.connect(pull->endpoint());
  second.connect(pull->endpoint());
  first.send({"a"});
  second.send({"b"});
  ASSERT_TRUE(harness_.await([&] { return got.size() == 2; }));
  EXPECT_THAT(got, ::testing::UnorderedElementsAre("a", "b"));
}

// ---- hostile peers -----------------------------------------------------------------------------

TEST_F(ZmqNetworkTest, MalformedMessagesAreDroppedAndCounted) {
  auto server = bind_echo();
  RawZmq peer(ZMQ_DEALER);
  peer.connect(server->endpoint());
  peer.send({"no delimiter"});
  peer.send({"not empty", "payload"});
  peer.send({"", "well-formed"});
  EXPECT_THAT(peer.receive(), ElementsAre("", "well-formed"));
  EXPECT_EQ(malformed(), 2U);
}

TEST_F(ZmqNetworkTest, WhoSendsTooManyFramesIsHeardNoMore) {
  auto server = bind_echo();
  RawZmq peer(ZMQ_DEALER);
  peer.connect(server->endpoint());
  peer.send({"", "well-formed"});
  EXPECT_THAT(peer.receive(), ElementsAre("", "well-formed"));
  peer.send(std::vector<std::string>(1000, "x"));
  peer.send({"", "too late"});
  EXPECT_TRUE(harness_.await([&] { return harness_.zmq().counters().cut_off_messages == 1; }));
  EXPECT_EQ(malformed(), 1U);
  expect_served(server->endpoint());
}

TEST_F(ZmqNetworkTest, MalformedAnswersAreDroppedAndCounted) {
  RawZmq peer(ZMQ_ROUTER);
  Payloads answers;
  auto client = connect_client(harness_, peer.bind(), "c",
                               [&](std::string_view payload) { answers.emplace_back(payload); });
  ASSERT_TRUE(client.send("hello").ok());
  ASSERT_EQ(peer.receive().size(), 3U);
  peer.send({"c", "no delimiter"});
  peer.send({"c", "", "two", "payloads"});
  peer.send({"c", "", "well-formed"});
  ASSERT_TRUE(harness_.await([&] { return answers.size() == 1; }));
  EXPECT_EQ(malformed(), 2U);
}

TEST_F(ZmqNetworkTest, MultipartNotificationsAreDroppedAndCounted) {
  Payloads got;
  auto pull = bind_pull(harness_, harness_.any_endpoint(),
                        [&](std::string_view payload) { got.emplace_back(payload); });
  RawZmq peer(ZMQ_PUSH);
  peer.connect(pull->endpoint());
  peer.send({"two", "frames"});
  peer.send({"one frame"});
  ASSERT_TRUE(harness_.await([&] { return !got.empty(); }));
  EXPECT_THAT(got, ElementsAre("one frame"));
  EXPECT_EQ(malformed(), 1U);
}

TEST_F(ZmqNetworkTest, AMessageOfTheLargestSizePasses) {
  auto server = bind_echo();
  RawZmq peer(ZMQ_REQ);
  peer.connect(server->endpoint());
  const std::string largest(kTestMaxMessageBytes, 'x');
  peer.send({largest});
  EXPECT_THAT(peer.receive(), ElementsAre(largest));
}

// The header alone ends the connection: nothing is allocated from the size that it claims.
TEST_F(ZmqNetworkTest, APeerThatAnnouncesTooMuchIsCutOffAndTheOthersServed) {
  auto server = bind_echo();
  RawZmq peer(ZMQ_REQ);
  peer.connect(server->endpoint());
  peer.send({"before"});
  EXPECT_THAT(peer.receive(), ElementsAre("before"));

  const UniqueFd greedy = tcp_connect(server->endpoint());
  const std::string header("\x02\0\0\1\0\0\0\0\0", 9);  // one long frame: 2^40 bytes
  send_all(greedy, zmtp_hello("DEALER") + header);
  EXPECT_TRUE(reads_to_the_end(greedy));

  peer.send({"after"});
  EXPECT_THAT(peer.receive(), ElementsAre("after"));
}

TEST_F(ZmqNetworkTest, GarbageOnThePortsHarmsNobody) {
  auto server = bind_echo();
  Payloads got;
  auto pull = bind_pull(harness_, harness_.any_endpoint(),
                        [&](std::string_view payload) { got.emplace_back(payload); });
  std::mt19937 random(20261122);  // NOLINT(cert-msc51-cpp): reproducible on purpose
  for (const std::string& endpoint : {server->endpoint(), pull->endpoint()}) {
    for (int round = 0; round < 40; ++round) {
      std::string garbage(1 + random() % 512, '\0');
      std::generate(garbage.begin(), garbage.end(), [&] { return static_cast<char>(random()); });
      if (round % 4 == 0) {
        garbage = "GET / HTTP/1.1\r\nHost: x\r\n\r\n" + garbage;
      } else if (round % 4 == 1) {
        garbage = zmtp_greeting() + garbage;
      } else if (round % 4 == 2) {
        garbage = zmtp_hello("PUSH") + garbage;
      }
      const UniqueFd fd = tcp_connect(endpoint);
      send_all(fd, garbage);
    }
    // One that stays, half-way through a greeting.
    const UniqueFd mute = tcp_connect(endpoint);
    send_all(mute, zmtp_greeting().substr(0, 1));
  }
  expect_served(server->endpoint());
  auto push = connect_push(harness_, pull->endpoint());
  ASSERT_TRUE(harness_.await([&] { return push->send("true word").ok(); }));
  EXPECT_TRUE(
      harness_.await([&] { return std::find(got.begin(), got.end(), "true word") != got.end(); }));
}

// ---- queues, turns, time -----------------------------------------------------------------------

TEST_F(ZmqNetworkTest, APeerThatDoesNotReadFillsItsQueueOnly) {
  Status refusal;
  Server* answering = nullptr;
  auto server = bind_server(harness_, harness_.any_endpoint(),
                            [&](const Route& from, std::string_view payload) {
                              if (payload != "flood me") {
                                EXPECT_TRUE(answering->send(from, payload).ok());
                                return;
                              }
                              const std::string block(kTestMaxMessageBytes, 'x');
                              while (refusal.ok()) {
                                refusal = answering->send(from, block);
                              }
                            });
  answering = &*(*server);
  RawZmq sloth(ZMQ_DEALER);
  sloth.set(ZMQ_RCVHWM, 1);
  sloth.connect(server->endpoint());
  sloth.send({"", "flood me"});
  ASSERT_TRUE(harness_.await([&] { return !refusal.ok(); }));
  EXPECT_EQ(refusal.code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(refusal.message()), HasSubstr("full"));
  expect_served(server->endpoint());
}

TEST_F(ZmqNetworkTest, AFullPushRefusesAndTellsWhenThereIsRoom) {
  RawZmq peer(ZMQ_PULL);
  peer.set(ZMQ_RCVHWM, 1);
  auto push = connect_push(harness_, peer.bind());
  const std::string block(kTestMaxMessageBytes, 'x');
  ASSERT_TRUE(harness_.await([&] { return push->send(block).ok(); }));
  int accepted = 1;
  // libzmq moves messages on until the kernel's buffers are full too.
  Status refusal;
  harness_.run([&] {
    while ((refusal = push->send(block)).ok()) {
      ++accepted;
    }
  });
  EXPECT_EQ(refusal.code(), StatusCode::kUnavailable);
  bool told = false;
  harness_.run([&] {
    push->set_writable([&] { told = push->send("room").ok() || told; });
    push->send(block).IgnoreError();
  });
  std::string last;
  for (int i = 0; last != "room"; ++i) {
    ASSERT_LE(i, accepted + 10 * kTestHwm);
    const auto frames = peer.receive();
    ASSERT_EQ(frames.size(), 1U);
    last = frames.front();
  }
  EXPECT_TRUE(harness_.await([&] { return told; }));
  EXPECT_EQ(push->incarnation(), 0U);
}

// A turn of the loop reads a bounded number of frames, however many are there.
TEST_F(ZmqNetworkTest, AChattyPeerDoesNotStarveTheLoop) {
  constexpr int kMessages = 5'000;
  int got = 0;
  int in_this_turn = 0;
  int most_in_a_turn = 0;
  auto pull = bind_pull(harness_, harness_.any_endpoint(), [&](std::string_view) {
    ++got;
    most_in_a_turn = std::max(most_in_a_turn, ++in_this_turn);
  });
  RawZmq peer(ZMQ_PUSH);
  peer.set(ZMQ_SNDHWM, kMessages);
  peer.connect(pull->endpoint());
  std::function<void()> next_turn = [&] {
    in_this_turn = 0;
    if (got < kMessages) {
      harness_.loop().post([&] { next_turn(); });
    }
  };
  harness_.run([&] { next_turn(); });
  for (int i = 0; i < kMessages; ++i) {
    peer.send({"chat"});
  }
  ASSERT_TRUE(harness_.await([&] { return got == kMessages; }));
  // The descriptor's turn and the scheduled one may come between two of ours.
  EXPECT_LE(most_in_a_turn, 2 * zmq_detail::MessagePump::kFramesPerTurn);
  EXPECT_GT(most_in_a_turn, 0);
}

// A listener that accepts and never speaks ZeroMQ must not hold a Push for ever.
TEST(ZmqNetworkTimes, AMuteProxyIsGivenUpAndTriedAgain) {
  ZmqOptions options = test_zmq_options();
  options.connect_timeout_ms = std::chrono::milliseconds(50);
  ZmqHarness harness(options);
  std::string endpoint;
  const UniqueFd listener = tcp_listen(endpoint);
  auto push = connect_push(harness, endpoint);
  std::vector<UniqueFd> connections;  // kept open: only the time limit can end an attempt
  while (connections.size() < 3) {
    connections.emplace_back(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ASSERT_TRUE(connections.back()) << "after " << connections.size() - 1 << " attempts";
    EXPECT_EQ(push.send("never").code(), StatusCode::kUnavailable);
  }
  EXPECT_EQ(push->incarnation(), 0U);
}

// Heartbeats find a peer that is connected but silent (stopped, or its network is gone).
TEST(ZmqNetworkTimes, ASilentProxyCountsAsLost) {
  ZmqOptions options = test_zmq_options();
  options.heartbeat_ms = std::chrono::milliseconds(20);
  options.heartbeat_timeout_ms = std::chrono::milliseconds(100);
  ZmqHarness harness(options);
  std::string endpoint;
  const UniqueFd listener = tcp_listen(endpoint);
  auto push = connect_push(harness, endpoint);
  const UniqueFd connection(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  send_all(connection, zmtp_hello("PULL"));  // and then silence
  ASSERT_TRUE(harness.await([&] { return push->send("into the silence").ok(); }));
  EXPECT_TRUE(harness.await([&] { return push->incarnation() >= 1; }));
}

TEST_F(ZmqNetworkTest, BindsToNamesOfThisHost) {
  auto pull = bind_pull(harness_, "tcp://localhost:0", ignore_payload);
  EXPECT_THAT(pull->endpoint(), HasSubstr("tcp://127.0.0.1:"));
}

TEST_F(ZmqNetworkTest, BadEndpointsAreInvalidAndNamed) {
  harness_.run([&] {
    Network& network = harness_.network();
    // Too long a label for a query to be sent.
    const std::string no_such_host = "tcp://" + std::string(64, 'x') + ":80";
    for (const std::string& endpoint : std::vector<std::string>{
             "nonsense", "tcp://", "tcp://127.0.0.1", "tcp://:80", "tcp://127.0.0.1:", "ipc://",
             "tcp://127.0.0.1:65536", "tcp://127.0.0.1:http", "udp://127.0.0.1:80", no_such_host,
             "inproc://x"}) {
      const Status status = network.bind_pull(endpoint, ignore_payload).status();
      EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << endpoint;
      EXPECT_THAT(std::string(status.message()), HasSubstr(endpoint));
    }
    for (const std::string endpoint :
         {"tcp://127.0.0.1:0", "tcp://127.0.0.1:*", "tcp://127.0.0.1:-1", "tcp://a b:80"}) {
      EXPECT_EQ(network.connect_push(endpoint).status().code(), StatusCode::kInvalidArgument)
          << endpoint;
      EXPECT_EQ(network.connect_client(endpoint, "c", ignore_payload).status().code(),
                StatusCode::kInvalidArgument)
          << endpoint;
    }
  });
}

TEST(ZmqNetworkOptions, UnboundedQueuesAndEndlessLingersAreRefused) {
  ZmqOptions unbounded = test_zmq_options();
  unbounded.hwm = 0;  // ZeroMQ's "no limit"
  ZmqOptions hoarding = test_zmq_options();
  hoarding.receive_hwm = 0;
  ZmqOptions endless = test_zmq_options();
  endless.linger_ms = std::chrono::milliseconds(-1);
  ZmqOptions limitless = test_zmq_options();
  limitless.max_message_bytes = 0;
  for (const ZmqOptions& options : {unbounded, hoarding, endless, limitless}) {
    ZmqHarness harness(options);
    harness.run([&] {
      EXPECT_EQ(harness.network().bind_pull("tcp://127.0.0.1:0", ignore_payload).status().code(),
                StatusCode::kInvalidArgument);
    });
  }
}

// The last word before a normal end still gets out.
TEST_F(ZmqNetworkTest, WhatWasSentJustBeforeTheEndIsDelivered) {
  RawZmq peer(ZMQ_PULL);
  auto push = connect_push(harness_, peer.bind());
  ASSERT_TRUE(harness_.await([&] { return push->send("first").ok(); }));
  harness_.run([&] {
    EXPECT_TRUE(push->send("last").ok());
    (*push).reset();
  });
  EXPECT_THAT(peer.receive(), ElementsAre("first"));
  EXPECT_THAT(peer.receive(), ElementsAre("last"));
}

}  // namespace
}  // namespace baton::control
