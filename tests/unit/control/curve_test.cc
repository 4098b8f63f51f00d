// Strangers at real sockets with keys (P8): who has no allowed key is not heard, and harms nobody.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/control/fleet.h"

namespace baton::control {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Payloads = std::vector<std::string>;

void ignore_payload(std::string_view) {}

class CurveTest : public ::testing::Test {
 protected:
  CurveTest() {
    fleet_.add("prefill-1", "sender");
    fleet_.add("prefill-2", "sender");
    fleet_.add("decode-1", "receiver", "127.0.0.1");
    fleet_.add("decode-2", "receiver", "10.0.0.2");
    fleet_.add("proxy", "proxy", "*");
    fleet_.add("stranger", "");
    decode_ = member("decode-1");
  }

  std::unique_ptr<ZmqHarness> member(const std::string& name) {
    return std::make_unique<ZmqHarness>(with_keys(fleet_.credentials(name)));
  }
  security::PublicKey public_key(const std::string& name) { return fleet_.key(name).public_key(); }

  OnLoop<Server> bind_decode() {
    auto server = bind_server(*decode_, decode_->any_endpoint(),
                              [this](const Route& from, std::string_view payload) {
                                got_.emplace_back(payload);
                                if (payload == "rubbish") {
                                  decode_server_->cut_off(from);
                                }
                                decode_server_->send(from, payload).IgnoreError();
                              });
    decode_server_ = &*(*server);
    return server;
  }

  /// A new sender gets through, now.
  void expect_served(const std::string& endpoint, const std::string& identity) {
    auto prefill = member("prefill-1");
    bool answered = false;
    auto client =
        connect_client(*prefill, endpoint, identity, [&](std::string_view) { answered = true; });
    ASSERT_TRUE(client.send("honest").ok());
    EXPECT_TRUE(prefill->await([&] { return answered; }));
  }

  /// What the server's handler, on its loop, has got so far.
  Payloads got() {
    Payloads copy;
    decode_->run([&] { copy = got_; });
    return copy;
  }

  bool await_count(std::uint64_t ZmqCounters::*counter, std::uint64_t count) {
    return decode_->await([=, this] { return decode_->zmq().counters().*counter >= count; });
  }

  Fleet fleet_;
  std::unique_ptr<ZmqHarness> decode_;
  Server* decode_server_ = nullptr;
  Payloads got_;
};

TEST_F(CurveTest, WhoHasAnAllowedKeyIsServed) {
  auto server = bind_decode();
  expect_served(server->endpoint(), "baton-a-1-init");
  EXPECT_THAT(got(), ElementsAre("honest"));
  decode_->run([&] {
    const ZmqCounters& counters = decode_->zmq().counters();
    EXPECT_EQ(counters.refused_keys + counters.failed_handshakes + counters.stolen_identities, 0U);
  });
}

TEST_F(CurveTest, NoStrangerGetsAMessageThrough) {
  auto server = bind_decode();
  const std::string endpoint = server->endpoint();
  RawZmq plain(ZMQ_DEALER);
  RawZmq unknown(ZMQ_DEALER);
  RawZmq wrong_role(ZMQ_DEALER);
  RawZmq wrong_server(ZMQ_DEALER);
  use_keys(unknown, fleet_.key("stranger"), public_key("decode-1"));
  use_keys(wrong_role, fleet_.key("decode-2"), public_key("decode-1"));
  use_keys(wrong_server, fleet_.key("prefill-2"), public_key("decode-2"));
  for (RawZmq* peer : {&plain, &unknown, &wrong_role, &wrong_server}) {
    peer->connect(endpoint);
    peer->send({"", "let me in"});
  }
  EXPECT_TRUE(await_count(&ZmqCounters::refused_keys, 2));
  EXPECT_TRUE(await_count(&ZmqCounters::failed_handshakes, 2));
  expect_served(endpoint, "baton-a-1-init");
  EXPECT_THAT(got(), Each("honest"));
}

TEST_F(CurveTest, AStockSocketWithAnAllowedKeyIsServed) {
  auto server = bind_decode();
  RawZmq peer(ZMQ_REQ);
  use_keys(peer, fleet_.key("prefill-2"), public_key("decode-1"));
  peer.connect(server->endpoint());
  peer.send({"hello"});
  EXPECT_THAT(peer.receive(), ElementsAre("hello"));
}

// A crowd that never introduces itself, and one that asks with unknown keys.
TEST_F(CurveTest, AStormOfStrangersPassesAndTheHonestAreServed) {
  ZmqOptions options = with_keys(fleet_.credentials("decode-1"));
  options.connect_timeout_ms = std::chrono::milliseconds(300);
  decode_ = std::make_unique<ZmqHarness>(options);
  auto server = bind_decode();
  std::vector<UniqueFd> mute;
  std::vector<std::unique_ptr<RawZmq>> unknown;
  for (int i = 0; i < 60; ++i) {
    mute.push_back(tcp_connect(server->endpoint()));
    unknown.push_back(std::make_unique<RawZmq>(ZMQ_DEALER));
    use_keys(*unknown.back(), fleet_.key("stranger"), public_key("decode-1"));
    unknown.back()->connect(server->endpoint());
    unknown.back()->send({"", "let me in"});
  }
  expect_served(server->endpoint(), "baton-a-1-init");
  EXPECT_TRUE(await_count(&ZmqCounters::refused_keys, unknown.size()));
  for (const UniqueFd& fd : mute) {
    EXPECT_TRUE(reads_to_the_end(fd)) << "the server ends a handshake that doesn't";
  }
  EXPECT_THAT(got(), Each("honest"));
}

TEST_F(CurveTest, AnotherKeyCannotSpeakForALiveSender) {
  auto server = bind_decode();
  auto prefill = member("prefill-1");
  auto client = connect_client(*prefill, server->endpoint(), "baton-epoch-1-alloc", ignore_payload);
  ASSERT_TRUE(client.send("mine").ok());
  ASSERT_TRUE(decode_->await([&] { return got_.size() == 1; }));

  const Route stolen = "baton-epoch-2-alloc";
  auto thief = std::make_unique<RawZmq>(ZMQ_DEALER);
  use_keys(*thief, fleet_.key("prefill-2"), public_key("decode-1"));
  thief->set(ZMQ_ROUTING_ID, stolen);
  thief->connect(server->endpoint());
  thief->send({"", "cancel everything"});
  EXPECT_TRUE(await_count(&ZmqCounters::stolen_identities, 1));
  thief->send({"", "really"});
  EXPECT_TRUE(await_count(&ZmqCounters::cut_off_messages, 1));
  thief.reset();
  ASSERT_TRUE(decode_->await([&] { return !decode_server_->send(stolen, "gone?").ok(); }));

  // The thief's key is out for a while; the owner goes on, under the very name that was stolen.
  RawZmq again(ZMQ_DEALER);
  use_keys(again, fleet_.key("prefill-2"), public_key("decode-1"));
  again.connect(server->endpoint());
  EXPECT_TRUE(await_count(&ZmqCounters::refused_keys, 1));
  auto next = connect_client(*prefill, server->endpoint(), stolen, ignore_payload);
  ASSERT_TRUE(next.send("mine too").ok());
  ASSERT_TRUE(client.send("and mine").ok());
  ASSERT_TRUE(decode_->await([&] { return got_.size() == 3; }));
  EXPECT_THAT(got(), ::testing::UnorderedElementsAre("mine", "mine too", "and mine"));
}

TEST_F(CurveTest, TheKeyOfWhoWasCutOffMustWait) {
  auto server = bind_decode();
  auto bad = member("prefill-2");
  auto client = connect_client(*bad, server->endpoint(), "baton-b-1-init", ignore_payload);
  ASSERT_TRUE(client.send("rubbish").ok());
  ASSERT_TRUE(client.send("more").ok());
  EXPECT_TRUE(await_count(&ZmqCounters::cut_off_messages, 1));
  auto retry = connect_client(*bad, server->endpoint(), "baton-b-2-init", ignore_payload);
  ASSERT_TRUE(retry.send("rubbish again").ok());
  EXPECT_TRUE(await_count(&ZmqCounters::refused_keys, 1));
  EXPECT_TRUE(bad->await([&] { return !retry->trouble().empty(); }));
  expect_served(server->endpoint(), "baton-a-1-init");
  EXPECT_THAT(got(), ElementsAre("rubbish", "honest"));
}

// ---- what who waits in vain is told
// --------------------------------------------------------------

class CurveTrouble : public CurveTest {
 protected:
  std::string trouble(ZmqHarness& with, const std::string& endpoint) {
    auto client = connect_client(with, endpoint, "baton-a-1-init", ignore_payload);
    client.send("hello").IgnoreError();
    std::string text;
    EXPECT_TRUE(with.await([&] {
      text = client->trouble();
      return !text.empty();
    }));
    return text;
  }
};

TEST_F(CurveTrouble, AKeyThatIsNotAllowed) {
  auto server = bind_decode();
  auto stranger = member("stranger");
  EXPECT_THAT(trouble(*stranger, server->endpoint()), HasSubstr("refused this process's key"));
}

TEST_F(CurveTrouble, NoKeyAtAServerThatWantsOne) {
  auto server = bind_decode();
  ZmqHarness plain;
  EXPECT_THAT(trouble(plain, server->endpoint()), HasSubstr("pd_security: none"));
}

TEST_F(CurveTrouble, AKeyAtAServerThatWantsNone) {
  ZmqHarness plain;
  auto server = bind_server(plain, plain.any_endpoint(), [](const Route&, std::string_view) {});
  auto prefill = member("prefill-1");
  EXPECT_THAT(trouble(*prefill, server->endpoint()), HasSubstr("pd_security: curve"));
}

TEST_F(CurveTrouble, AServerWithAnotherKey) {
  decode_ = member("decode-2");  // at the address of decode-1
  auto server = bind_decode();
  auto prefill = member("prefill-1");
  EXPECT_THAT(trouble(*prefill, server->endpoint()), HasSubstr("pd_peer_keys_file"));
}

TEST_F(CurveTrouble, AnAddressThatNoKeyIsKnownFor) {
  auto prefill = member("prefill-1");
  prefill->run([&] {
    const Status status =
        prefill->network().connect_client("tcp://10.0.0.9:1", "c", ignore_payload).status();
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), HasSubstr("receiver at 10.0.0.9:1"));
  });
}

// ---- the proxy
// -----------------------------------------------------------------------------------

TEST_F(CurveTest, TheProxyHearsSendersAndReceiversOnly) {
  auto proxy = member("proxy");
  Payloads notes;
  auto pull = bind_pull(*proxy, proxy->any_endpoint(),
                        [&](std::string_view payload) { notes.emplace_back(payload); });
  RawZmq plain(ZMQ_PUSH);
  plain.connect(pull->endpoint());
  RawZmq unknown(ZMQ_PUSH);
  use_keys(unknown, fleet_.key("stranger"), public_key("proxy"));
  unknown.connect(pull->endpoint());
  ASSERT_TRUE(proxy->await([&] {
    const ZmqCounters& counters = proxy->zmq().counters();
    return counters.refused_keys >= 1 && counters.failed_handshakes >= 1;
  }));
  auto prefill = member("prefill-1");
  auto push = connect_push(*prefill, pull->endpoint());
  ASSERT_TRUE(prefill->await([&] { return push->send("done").ok(); }));
  auto from_decode = connect_push(*decode_, pull->endpoint());
  ASSERT_TRUE(decode_->await([&] { return from_decode->send("ended").ok(); }));
  ASSERT_TRUE(proxy->await([&] { return notes.size() == 2; }));
  EXPECT_THAT(notes, ::testing::UnorderedElementsAre("done", "ended"));
}

TEST_F(CurveTest, AStockProxyIsSpokenToOnlyIfItIsExempt) {
  RawZmq stock(ZMQ_PULL);
  const std::string endpoint = stock.bind();
  auto strict = member("prefill-1");
  auto push = connect_push(*strict, endpoint);
  EXPECT_TRUE(strict->await([&] {
    return std::string(push->send("done").message()).find("pd_security: curve") !=
           std::string::npos;
  }));
  auto credentials = fleet_.credentials("prefill-2");
  credentials->plain_proxy = true;
  ZmqHarness exempt(with_keys(credentials));
  auto plain_push = connect_push(exempt, endpoint);
  ASSERT_TRUE(exempt.await([&] { return plain_push->send("done, in the clear").ok(); }));
  EXPECT_THAT(stock.receive(), ElementsAre("done, in the clear"));
}

}  // namespace
}  // namespace baton::control
