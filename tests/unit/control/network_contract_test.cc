// What control.h promises, on every network.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/unit/control/harness.h"

namespace baton::control {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Payloads = std::vector<std::string>;

void ignore_request(const Route&, std::string_view) {}
void ignore_payload(std::string_view) {}

template <typename H>
class NetworkContract : public ::testing::Test {
 protected:
  H harness_;
};

using Harnesses = ::testing::Types<InprocHarness, ZmqHarness>;

class HarnessName {
 public:
  template <typename T>
  static std::string GetName(int) {  // NOLINT(readability-identifier-naming): GoogleTest's name
    return std::is_same_v<T, ZmqHarness> ? "Zmq" : "Inproc";
  }
};
TYPED_TEST_SUITE(NetworkContract, Harnesses, HarnessName);

TYPED_TEST(NetworkContract, AnswersARequest) {
  auto& harness = this->harness_;
  Payloads answers;
  Server* answering = nullptr;
  auto server = bind_server(
      harness, harness.any_endpoint(), [&](const Route& from, std::string_view payload) {
        EXPECT_EQ(from, "sender-1");
        EXPECT_TRUE(answering->send(from, "re: " + std::string(payload)).ok());
      });
  answering = &*(*server);
  auto client = connect_client(harness, server->endpoint(), "sender-1",
                               [&](std::string_view payload) { answers.emplace_back(payload); });
  ASSERT_TRUE(client.send("hello").ok());
  ASSERT_TRUE(harness.await([&] { return answers.size() == 1; }));
  EXPECT_THAT(answers, ElementsAre("re: hello"));
}

TYPED_TEST(NetworkContract, CarriesEmptyAndBinaryPayloads) {
  auto& harness = this->harness_;
  Payloads got;
  auto server =
      bind_server(harness, harness.any_endpoint(),
                  [&](const Route&, std::string_view payload) { got.emplace_back(payload); });
  auto client = connect_client(harness, server->endpoint(), "c", ignore_payload);
  const std::string binary("\0\xff\0", 3);
  ASSERT_TRUE(client.send("").ok());
  ASSERT_TRUE(client.send(binary).ok());
  ASSERT_TRUE(harness.await([&] { return got.size() == 2; }));
  EXPECT_THAT(got, ElementsAre("", binary));
}

TYPED_TEST(NetworkContract, HandlersRunInTurnsOfTheirOwn) {
  auto& harness = this->harness_;
  int answers = 0;
  bool sending = false;
  Server* answering = nullptr;
  auto server = bind_server(harness, harness.any_endpoint(),
                            [&](const Route& from, std::string_view payload) {
                              EXPECT_FALSE(sending);
                              sending = true;
                              EXPECT_TRUE(answering->send(from, payload).ok());
                              sending = false;
                            });
  answering = &*(*server);
  Client* asking = nullptr;
  auto client = connect_client(harness, server->endpoint(), "c", [&](std::string_view) {
    EXPECT_FALSE(sending);
    sending = true;
    if (++answers < 200) {
      EXPECT_TRUE(asking->send("more").ok());
    }
    sending = false;
  });
  asking = &*(*client);
  ASSERT_TRUE(client.send("first").ok());
  EXPECT_TRUE(harness.await([&] { return answers == 200; }));
}

// Every message arrives, once and in order, although the queue is a hundredth of the burst.
TYPED_TEST(NetworkContract, ABurstPassesThroughABoundedQueue) {
  auto& harness = this->harness_;
  constexpr int kMessages = 10'000;
  const std::string endpoint = harness.unused_endpoint();
  auto client = connect_client(harness, endpoint, "c", ignore_payload);
  int sent = 0;
  while (client.send(std::to_string(sent)).ok()) {
    ASSERT_LT(++sent, kMessages);  // Nobody takes any yet: the burst begins with a full queue.
  }
  int arrived = 0;
  auto server = bind_server(harness, endpoint, [&](const Route&, std::string_view payload) {
    ASSERT_EQ(payload, std::to_string(arrived));
    ++arrived;
  });
  ASSERT_TRUE(harness.await([&] {
    while (sent < kMessages) {
      const Status status = client->send(std::to_string(sent));
      if (!status.ok()) {
        EXPECT_EQ(status.code(), StatusCode::kUnavailable);
        break;
      }
      ++sent;
    }
    return sent == kMessages;
  }));
  EXPECT_TRUE(harness.await([&] { return arrived == kMessages; }));
}

TYPED_TEST(NetworkContract, AClientsMessagesWaitForItsServerUpToTheLimit) {
  auto& harness = this->harness_;
  const std::string endpoint = harness.unused_endpoint();
  auto client = connect_client(harness, endpoint, "c", ignore_payload);
  int queued = 0;
  Status refusal;
  while ((refusal = client.send(std::to_string(queued))).ok()) {
    ASSERT_LE(++queued, kTestHwm);
  }
  EXPECT_EQ(queued, kTestHwm);
  EXPECT_EQ(refusal.code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(refusal.message()), HasSubstr(endpoint));
  EXPECT_THAT(std::string(refusal.message()), HasSubstr("full"));

  int arrived = 0;
  auto server = bind_server(harness, endpoint, [&](const Route&, std::string_view payload) {
    ASSERT_EQ(payload, std::to_string(arrived));
    ++arrived;
  });
  EXPECT_TRUE(harness.await([&] { return arrived == queued; }));
}

TYPED_TEST(NetworkContract, AClientFindsItsServersSuccessor) {
  auto& harness = this->harness_;
  int first = 0;
  int second = 0;
  auto server = std::make_unique<OnLoop<Server>>(bind_server(
      harness, harness.any_endpoint(), [&](const Route&, std::string_view) { ++first; }));
  const std::string endpoint = (*server)->endpoint();
  auto client = connect_client(harness, endpoint, "c", ignore_payload);
  ASSERT_TRUE(client.send("one").ok());
  ASSERT_TRUE(harness.await([&] { return first == 1; }));
  server->reset();
  auto successor =
      bind_server(harness, endpoint, [&](const Route&, std::string_view) { ++second; });
  // What is sent while the loss goes unnoticed may be lost; not so for ever.
  EXPECT_TRUE(harness.await([&] {
    client->send("two").IgnoreError();
    return second > 0;
  }));
  EXPECT_EQ(first, 1);
}

TYPED_TEST(NetworkContract, SendingToAnUnknownRouteIsUnavailable) {
  auto& harness = this->harness_;
  auto server = bind_server(harness, harness.any_endpoint(), ignore_request);
  Status status;
  harness.run([&] { status = server->send("nobody", "hello"); });
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("not connected"));
}

TYPED_TEST(NetworkContract, ARouteEndsWithItsClient) {
  auto& harness = this->harness_;
  bool seen = false;
  auto server = bind_server(harness, harness.any_endpoint(),
                            [&](const Route&, std::string_view) { seen = true; });
  auto client = connect_client(harness, server->endpoint(), "c", ignore_payload);
  ASSERT_TRUE(client.send("hello").ok());
  ASSERT_TRUE(harness.await([&] { return seen; }));
  client.reset();
  EXPECT_TRUE(
      harness.await([&] { return server->send("c", "hello").code() == StatusCode::kUnavailable; }));
}

TYPED_TEST(NetworkContract, ASecondClientWithATakenIdentityGoesUnheard) {
  auto& harness = this->harness_;
  Payloads got;
  auto server =
      bind_server(harness, harness.any_endpoint(),
                  [&](const Route&, std::string_view payload) { got.emplace_back(payload); });
  auto first = connect_client(harness, server->endpoint(), "twin", ignore_payload);
  ASSERT_TRUE(first.send("first").ok());
  ASSERT_TRUE(harness.await([&] { return got.size() == 1; }));
  auto second = connect_client(harness, server->endpoint(), "twin", ignore_payload);
  ASSERT_TRUE(second.send("second").ok());
  // A third client's round trip, begun later, shows that the second had its chance.
  auto third = connect_client(harness, server->endpoint(), "other", ignore_payload);
  ASSERT_TRUE(third.send("third").ok());
  ASSERT_TRUE(harness.await([&] { return got.size() == 2; }));
  ASSERT_TRUE(first.send("first again").ok());
  ASSERT_TRUE(harness.await([&] { return got.size() == 3; }));
  EXPECT_THAT(got, ElementsAre("first", "third", "first again"));
}

TYPED_TEST(NetworkContract, NothingOfARouteThatWasCutOffIsHeard) {
  auto& harness = this->harness_;
  Payloads got;
  Server* cutting = nullptr;
  auto server = bind_server(harness, harness.any_endpoint(),
                            [&](const Route& from, std::string_view payload) {
                              got.emplace_back(payload);
                              if (payload == "rubbish") {
                                cutting->cut_off(from);
                              }
                            });
  cutting = &*(*server);
  auto bad = connect_client(harness, server->endpoint(), "bad", ignore_payload);
  auto good = connect_client(harness, server->endpoint(), "good", ignore_payload);
  ASSERT_TRUE(bad.send("rubbish").ok());
  ASSERT_TRUE(bad.send("more of it").ok());
  ASSERT_TRUE(harness.await([&] { return got.size() == 1; }));
  ASSERT_TRUE(good.send("sense").ok());
  ASSERT_TRUE(harness.await([&] { return got.size() == 2; }));
  ASSERT_TRUE(bad.send("even more").ok());
  ASSERT_TRUE(good.send("still here").ok());
  ASSERT_TRUE(harness.await([&] { return got.back() == "still here"; }));
  EXPECT_THAT(got, ElementsAre("rubbish", "sense", "still here"));
}

TYPED_TEST(NetworkContract, RefusesWhatCanNeverWork) {
  auto& harness = this->harness_;
  auto server = bind_server(harness, harness.any_endpoint(), ignore_request);
  const std::string endpoint = server->endpoint();
  auto client = connect_client(harness, endpoint, "c", ignore_payload);
  const Status too_large = client.send(std::string(kTestMaxMessageBytes + 1, 'x'));
  EXPECT_EQ(too_large.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(too_large.message()), HasSubstr(std::to_string(kTestMaxMessageBytes)));

  harness.run([&] {
    Network& network = harness.network();
    for (const std::string& identity : {std::string(), std::string(256, 'i'), std::string(1, 0)}) {
      EXPECT_EQ(network.connect_client(endpoint, identity, ignore_payload).status().code(),
                StatusCode::kInvalidArgument);
    }
    EXPECT_EQ(network.bind_server("", ignore_request).status().code(),
              StatusCode::kInvalidArgument);
    EXPECT_EQ(network.connect_push("").status().code(), StatusCode::kInvalidArgument);
  });
}

TYPED_TEST(NetworkContract, ATakenEndpointIsUnavailableAndNamed) {
  auto& harness = this->harness_;
  auto server = bind_server(harness, harness.any_endpoint(), ignore_request);
  const std::string endpoint = server->endpoint();
  harness.run([&] {
    for (const Status& status : {harness.network().bind_server(endpoint, ignore_request).status(),
                                 harness.network().bind_pull(endpoint, ignore_payload).status()}) {
      EXPECT_EQ(status.code(), StatusCode::kUnavailable);
      EXPECT_THAT(std::string(status.message()), HasSubstr(endpoint));
      EXPECT_THAT(std::string(status.message()), HasSubstr("Address already in use"));
    }
  });
}

TYPED_TEST(NetworkContract, AHandlerMayDestroyItsOwner) {
  auto& harness = this->harness_;
  int requests = 0;
  std::unique_ptr<Server>* server_slot = nullptr;
  auto server = bind_server(
      harness, harness.any_endpoint(),
      [&, kept = std::make_shared<int>(7)](const Route& from, std::string_view payload) {
        ++requests;
        server_slot->reset();
        // All of these must still be there.
        EXPECT_EQ(*kept, 7);
        EXPECT_EQ(from, "c");
        EXPECT_EQ(payload, "one");
      });
  server_slot = &*server;
  auto client = connect_client(harness, server->endpoint(), "c", ignore_payload);
  ASSERT_TRUE(client.send("one").ok());
  ASSERT_TRUE(client.send("two").ok());
  ASSERT_TRUE(harness.await([&] { return *server_slot == nullptr; }));
  EXPECT_EQ(requests, 1);
}

TYPED_TEST(NetworkContract, AClientsHandlerMayDestroyIt) {
  auto& harness = this->harness_;
  int answers = 0;
  Server* answering = nullptr;
  auto server = bind_server(harness, harness.any_endpoint(), [&](const Route& from, auto) {
    EXPECT_TRUE(answering->send(from, "one").ok());
    EXPECT_TRUE(answering->send(from, "two").ok());
  });
  answering = &*(*server);
  std::unique_ptr<Client>* slot = nullptr;
  auto client = connect_client(harness, server->endpoint(), "c", [&](std::string_view) {
    ++answers;
    slot->reset();
  });
  slot = &*client;
  ASSERT_TRUE(client.send("hello").ok());
  ASSERT_TRUE(harness.await([&] { return *slot == nullptr; }));
  EXPECT_EQ(answers, 1);
}

// ---- push and pull -----------------------------------------------------------------------------

TYPED_TEST(NetworkContract, PushesInOrder) {
  auto& harness = this->harness_;
  Payloads got;
  auto pull = bind_pull(harness, harness.any_endpoint(),
                        [&](std::string_view payload) { got.emplace_back(payload); });
  auto push = connect_push(harness, pull->endpoint());
  ASSERT_TRUE(harness.await([&] { return push->send("one").ok(); }));
  ASSERT_TRUE(push.send("two").ok());
  ASSERT_TRUE(harness.await([&] { return got.size() == 2; }));
  EXPECT_THAT(got, ElementsAre("one", "two"));
  EXPECT_EQ(push->incarnation(), 0U);
}

TYPED_TEST(NetworkContract, APushWithoutAPeerIsRefusedAndNeverDelivered) {
  auto& harness = this->harness_;
  const std::string endpoint = harness.unused_endpoint();
  auto push = connect_push(harness, endpoint);
  const Status refusal = push.send("too early");
  EXPECT_EQ(refusal.code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(refusal.message()), HasSubstr(endpoint));

  Payloads got;
  auto pull =
      bind_pull(harness, endpoint, [&](std::string_view payload) { got.emplace_back(payload); });
  ASSERT_TRUE(harness.await([&] { return push->send("in time").ok(); }));
  ASSERT_TRUE(harness.await([&] { return !got.empty(); }));
  EXPECT_THAT(got, ElementsAre("in time"));
}

TYPED_TEST(NetworkContract, TellsWhenAPushBecomesPossible) {
  auto& harness = this->harness_;
  const std::string endpoint = harness.unused_endpoint();
  auto push = connect_push(harness, endpoint);
  Payloads got;
  int told = 0;
  bool setting = true;
  harness.run([&] {
    push->set_writable([&] {
      EXPECT_FALSE(setting);
      ++told;
      EXPECT_TRUE(push->send("now").ok());
    });
    setting = false;
  });
  EXPECT_EQ(told, 0);
  auto pull =
      bind_pull(harness, endpoint, [&](std::string_view payload) { got.emplace_back(payload); });
  EXPECT_TRUE(harness.await([&] { return !got.empty(); }));
  EXPECT_GE(told, 1);

  // Who asks when a peer is there already is told as well.
  bool told_again = false;
  harness.run([&] { push->set_writable([&] { told_again = true; }); });
  EXPECT_TRUE(harness.await([&] { return told_again; }));
}

TYPED_TEST(NetworkContract, AWritableCallbackMayReplaceItselfOrEndThePush) {
  auto& harness = this->harness_;
  auto pull = bind_pull(harness, harness.any_endpoint(), ignore_payload);
  auto push = connect_push(harness, pull->endpoint());
  int first = 0;
  harness.run([&] {
    push->set_writable([&, kept = std::make_shared<int>(7)] {
      ++first;
      push->set_writable([&] { (*push).reset(); });
      EXPECT_EQ(*kept, 7);
    });
  });
  EXPECT_TRUE(harness.await([&] { return *push == nullptr; }));
  EXPECT_EQ(first, 1);
}

// The heart of "no early or false word": a proxy's successor, whose request ids may have started
// anew, gets nothing that was meant for the one before.
TYPED_TEST(NetworkContract, NothingReachesAProxysNextIncarnation) {
  auto& harness = this->harness_;
  Payloads to_first;
  Payloads to_second;
  auto first = bind_pull(harness, harness.any_endpoint(),
                         [&](std::string_view payload) { to_first.emplace_back(payload); });
  const std::string endpoint = first->endpoint();
  auto push = connect_push(harness, endpoint);
  ASSERT_TRUE(harness.await([&] { return push->send("old").ok(); }));
  ASSERT_TRUE(harness.await([&] { return !to_first.empty(); }));

  // Sends go on while the proxy dies; which are accepted depends on when the loss is noticed.
  harness.run([&] {
    (*first).reset();
    for (int i = 0; i < 50; ++i) {
      push->send("old").IgnoreError();
    }
  });
  ASSERT_TRUE(harness.await([&] {
    push->send("old").IgnoreError();
    return push->incarnation() == 1;
  }));
  EXPECT_EQ(push.send("old").code(), StatusCode::kUnavailable);

  auto second = bind_pull(harness, endpoint,
                          [&](std::string_view payload) { to_second.emplace_back(payload); });
  ASSERT_TRUE(harness.await([&] { return push->send("new").ok(); }));
  ASSERT_TRUE(harness.await([&] { return !to_second.empty(); }));
  EXPECT_THAT(to_second, ElementsAre("new"));
  EXPECT_EQ(push->incarnation(), 1U);
}

TYPED_TEST(NetworkContract, APullsHandlerMayDestroyIt) {
  auto& harness = this->harness_;
  int got = 0;
  std::unique_ptr<Pull>* slot = nullptr;
  auto pull = bind_pull(harness, harness.any_endpoint(), [&](std::string_view) {
    ++got;
    slot->reset();
  });
  slot = &*pull;
  auto push = connect_push(harness, pull->endpoint());
  ASSERT_TRUE(harness.await([&] { return push->send("one").ok(); }));
  push.send("two").IgnoreError();
  ASSERT_TRUE(harness.await([&] { return *slot == nullptr; }));
  EXPECT_EQ(got, 1);
}

TYPED_TEST(NetworkContract, EndsWithMessagesPending) {
  auto& harness = this->harness_;
  const std::string endpoint = harness.unused_endpoint();
  auto client = connect_client(harness, endpoint, "c", ignore_payload);
  for (int i = 0; i < kTestHwm; ++i) {
    ASSERT_TRUE(client.send("never delivered").ok());
  }
  // The destructors of client and network must come to an end.
}

}  // namespace
}  // namespace baton::control
