// The list of who is who: what it finds, and what it refuses.
#include "src/security/peer_keys.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace baton::security {
namespace {

using ::testing::HasSubstr;

std::string key(char digit) {
  return std::string(64, digit);
}

std::string refusal(const std::string& text) {
  const auto parsed = PeerKeys::parse(text, "peers.keys");
  EXPECT_FALSE(parsed.ok()) << text;
  return std::string(parsed.status().message());
}

TEST(PeerKeys, FindsKeysAndServers) {
  const auto keys = PeerKeys::parse("# the fleet\n\n" + key('1') + " prefill sender\r\n" +    //
                                        key('2') + " decode-1 receiver h1 # on host 1\n" +    //
                                        key('3') + "\tdecode-2 receiver h2:8300 h2:8400\n" +  //
                                        key('4') + " decode-3 receiver h2\n" +                //
                                        key('5') + " rest any *",
                                    "peers.keys");
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(keys->size(), 5U);
  EXPECT_EQ(keys->find(*PublicKey::parse(key('1')))->name, "prefill");
  EXPECT_EQ(keys->find(*PublicKey::parse(key('9'))), nullptr);
  const auto server = [&](KeyRole role, std::string_view at) {
    return keys->server_key(role, at)->hex().substr(0, 1);
  };
  EXPECT_EQ(server(KeyRole::kReceiver, "h1:1"), "2");
  EXPECT_EQ(server(KeyRole::kReceiver, "h2:8400"), "3");
  EXPECT_EQ(server(KeyRole::kReceiver, "h2:8500"), "4");
  EXPECT_EQ(server(KeyRole::kReceiver, "h3:1"), "5");
  EXPECT_EQ(server(KeyRole::kProxy, "h1:1"), "5") << "h1 is no proxy";
}

TEST(PeerKeys, SaysWhichLineIsMissing) {
  const auto keys = PeerKeys::parse(key('1') + " prefill sender", "peers.keys");
  const Status status = keys->server_key(KeyRole::kReceiver, "h1:8300").status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("add '<its key> <name> receiver h1' to peers.keys"));
}

TEST(PeerKeys, RefusesWhatCouldMeanTwoThings) {
  EXPECT_THAT(refusal(key('1') + " a sender\n" + key('1') + " b receiver"),
              HasSubstr("peers.keys:2: this key stands here twice, first as 'a'"));
  EXPECT_THAT(refusal(key('1') + " a receiver h\n" + key('2') + " b any h"),
              HasSubstr("'h' stands here twice for role receiver"));
  EXPECT_THAT(refusal(key('1') + " a receiver *\n" + key('2') + " b receiver *"),
              HasSubstr("'*' stands here twice"));
}

TEST(PeerKeys, RefusesWhatIsMalformed) {
  EXPECT_THAT(refusal("12 a sender"), HasSubstr("'12' is no public key; it must be 64 hex digits"));
  EXPECT_THAT(refusal(key('g') + " a sender"), HasSubstr("is no public key"));
  EXPECT_THAT(refusal("#" + key('1') + " a sender"), HasSubstr("is no public key"));
  EXPECT_THAT(refusal(key('1') + " a"), HasSubstr("a name, a role"));
  EXPECT_THAT(refusal(key('1') + " a boss"), HasSubstr("role 'boss' is unknown"));
  EXPECT_THAT(refusal(key('1') + " a sender h1"), HasSubstr("connected to by nobody"));
  EXPECT_THAT(refusal(key('1') + " \x01 sender"), HasSubstr("name '\\x01'"));
  EXPECT_THAT(refusal("baton-secret-key " + key('1')), HasSubstr("secret key does not belong"));
}

TEST(PeerKeys, BoundsTheirNumber) {
  std::string text;
  for (std::size_t i = 0; i <= PeerKeys::kMaxKeys; ++i) {
    text += fmt::format("{:064x} n sender\n", i + 1);
  }
  EXPECT_THAT(refusal(text), HasSubstr("more than 4096 keys"));
}

TEST(PeerKeys, LinesAreReadBackOrNotWritten) {
  const PublicKey one = *PublicKey::parse(key('1'));
  EXPECT_EQ(*to_line({one, "a", KeyRole::kReceiver, {"h1", "h2:1"}}),
            key('1') + " a receiver h1 h2:1");
  EXPECT_FALSE(to_line({one, "a b", KeyRole::kSender, {}}).ok());
  EXPECT_FALSE(to_line({one, "a\nb", KeyRole::kSender, {}}).ok());
  EXPECT_FALSE(to_line({one, "", KeyRole::kSender, {}}).ok());
  EXPECT_FALSE(to_line({one, "#", KeyRole::kSender, {}}).ok());
  EXPECT_FALSE(to_line({one, "a", KeyRole::kSender, {"h1"}}).ok());
}

}  // namespace
}  // namespace baton::security
