// Who speaks for a sender is told by the beginning of its identity, which its key answers for (P8).
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "src/control/endpoint.h"
#include "tests/support/handoff.h"

namespace baton {
namespace {

using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary

class IdentityTest : public ::testing::Test {
 protected:
  /// Whether the receiver answers a hello for `epoch` that comes from this identity.
  bool is_welcome(const std::string& identity, const Epoch& epoch) {
    bool answered = false;
    const auto client = *world_.network.connect_client(receiver_.address().init_endpoint, identity,
                                                       [&](std::string_view) { answered = true; });
    wire::NixlInitRequest request;
    request.baton = wire::encode(wire::Hello{1, 1, epoch, tiny_layout(), {{"loopback", ""}}});
    EXPECT_TRUE(client->send(wire::encode(request)).ok());
    world_.scheduler.run_for(std::chrono::milliseconds(5));
    return answered;
  }

  World world_;
  ReceiverNode receiver_{world_, "receiver", 4};
  const Epoch own_ = Epoch::random();
  const Epoch victim_ = Epoch::random();
};

TEST_F(IdentityTest, AHelloSpeaksForItsOwnSocketOnly) {
  EXPECT_FALSE(is_welcome("baton-" + own_.hex() + "-1-init", victim_));
  EXPECT_FALSE(is_welcome("baton-" + own_.hex() + "-" + victim_.hex() + "-1-init", victim_));
  EXPECT_FALSE(is_welcome("other-" + victim_.hex() + "-1-init", victim_));
  EXPECT_FALSE(is_welcome(victim_.hex(), victim_));
  EXPECT_TRUE(is_welcome("baton-" + victim_.hex() + "-1-init", victim_));
}

TEST(IdentityOwner, IsWhatStandsBeforeTheSecondDash) {
  EXPECT_EQ(control::identity_owner("baton-e-1-init"), "baton-e");
  EXPECT_EQ(control::identity_owner("baton-e"), "baton-e");
  EXPECT_EQ(control::identity_owner("baton"), "baton");
  EXPECT_TRUE(control::is_of_epoch("baton-e-1-init", "e"));
  EXPECT_FALSE(control::is_of_epoch("baton-x-e-init", "e"));
  EXPECT_FALSE(control::is_of_epoch("batone-e-1", "e"));
  EXPECT_FALSE(control::is_of_epoch("baton-e1-1", "e"));
}

}  // namespace
}  // namespace baton
