// Who may speak, and as whom, without sockets.
#include "src/control/zmq/key_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/control/fleet.h"

namespace baton::control {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class KeyGuardTest : public ::testing::Test {
 protected:
  KeyGuardTest() {
    fleet_.add("prefill", "sender");
    fleet_.add("decode", "receiver", "*");
    fleet_.add("decode-2", "receiver", "10.0.0.2");
    fleet_.add("proxy", "proxy", "*");
    fleet_.add("all", "any");
    fleet_.add("stranger", "");
    guard_ = std::make_unique<KeyGuard>(fleet_.credentials("decode"));
  }
  KeyGuard::Verdict admit(const std::string& name, std::string_view domain) {
    return guard_->admit(fleet_.key(name).public_key().bytes(), domain, now_);
  }

  Fleet fleet_;
  TimePoint now_{};
  std::unique_ptr<KeyGuard> guard_;
};

TEST_F(KeyGuardTest, RolesDecideWhoMayEnterWhere) {
  EXPECT_TRUE(admit("prefill", KeyGuard::kServerDomain).admitted);
  EXPECT_TRUE(admit("all", KeyGuard::kServerDomain).admitted);
  EXPECT_TRUE(admit("decode", KeyGuard::kServerDomain).admitted) << "another rank of the same";
  EXPECT_THAT(admit("decode-2", KeyGuard::kServerDomain).why, HasSubstr("role receiver"));
  EXPECT_THAT(admit("proxy", KeyGuard::kServerDomain).why, HasSubstr("role proxy"));
  EXPECT_THAT(admit("stranger", KeyGuard::kServerDomain).why, HasSubstr("is not in peers.keys"));

  EXPECT_TRUE(admit("prefill", KeyGuard::kPullDomain).admitted);
  EXPECT_TRUE(admit("decode-2", KeyGuard::kPullDomain).admitted);
  EXPECT_FALSE(admit("proxy", KeyGuard::kPullDomain).admitted);

  EXPECT_FALSE(admit("prefill", "elsewhere").admitted);
  EXPECT_FALSE(guard_->admit({}, KeyGuard::kServerDomain, now_).admitted);
}

TEST_F(KeyGuardTest, PunishmentEnds) {
  const std::string user = admit("prefill", KeyGuard::kServerDomain).user;
  EXPECT_EQ(user, fleet_.key("prefill").public_key().hex());
  guard_->punish(user, now_);
  EXPECT_THAT(admit("prefill", KeyGuard::kServerDomain).why, HasSubstr("cut off"));
  EXPECT_TRUE(admit("all", KeyGuard::kServerDomain).admitted);
  now_ += KeyGuard::kPenalty;
  EXPECT_TRUE(admit("prefill", KeyGuard::kServerDomain).admitted);
}

TEST_F(KeyGuardTest, AnOwnersNameBelongsToItsFirstKey) {
  EXPECT_TRUE(guard_->speaks_for("key 1", "baton-epoch-1-init"));
  EXPECT_TRUE(guard_->speaks_for("key 1", "baton-epoch-1-alloc"));
  EXPECT_FALSE(guard_->speaks_for("key 2", "baton-epoch-2-alloc"));
  EXPECT_FALSE(guard_->speaks_for("key 2", "baton-epoch"));
  EXPECT_TRUE(guard_->speaks_for("key 2", "baton-other-1-init"));
  EXPECT_EQ(guard_->user_of("baton-epoch-9-init"), "key 1");
  EXPECT_THAT(guard_->user_of("baton-unknown-1"), IsEmpty());
  EXPECT_FALSE(guard_->speaks_for("", "baton-new-1-init")) << "with keys, nobody has none";
}

TEST_F(KeyGuardTest, AKeyThatUsesManyNamesLosesItsOwnOnly) {
  ASSERT_TRUE(guard_->speaks_for("honest", "baton-live-1-init"));
  for (std::size_t i = 0; i <= KeyGuard::kMaxOwnersPerKey; ++i) {
    EXPECT_TRUE(guard_->speaks_for("greedy", fmt::format("baton-{}-1-init", i)));
  }
  EXPECT_THAT(guard_->user_of("baton-0-1-init"), IsEmpty());
  EXPECT_EQ(guard_->user_of("baton-1-1-init"), "greedy");
  EXPECT_FALSE(guard_->speaks_for("greedy", "baton-live-2-init"));
}

TEST(KeyGuardWithoutKeys, RefusesNothingAndKnowsNobody) {
  KeyGuard guard(nullptr);
  EXPECT_TRUE(guard.knows(""));
  EXPECT_TRUE(guard.speaks_for("", "anybody"));
  EXPECT_THAT(guard.user_of("anybody"), IsEmpty());
}

}  // namespace
}  // namespace baton::control
