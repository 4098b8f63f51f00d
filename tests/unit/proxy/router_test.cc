#include "src/proxy/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace baton::proxy {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

Router make_router(const std::vector<std::string>& prefillers, std::vector<std::string> decoders,
                   RouterOptions options = {}) {
  return Router::create(prefillers, std::move(decoders), options).value();
}

std::string prefix_number(int i) {
  return "prefix-" + std::to_string(i);
}

TEST(RequestId, Is128RandomBitsInHex) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = make_request_id();
    EXPECT_THAT(id, MatchesRegex("[0-9a-f]{32}"));
    EXPECT_TRUE(seen.insert(id).second);
  }
}

TEST(Router, TheSamePrefixMeetsTheSameDecoder) {
  Router router = make_router({"p0", "p1", "p2"}, {"d0", "d1", "d2"});
  Router restarted = make_router({"other"}, {"d0", "d1", "d2"});
  for (int i = 0; i < 100; ++i) {
    const std::size_t decoder = router.open(prefix_number(i))->decoder;
    EXPECT_EQ(router.open(prefix_number(i))->decoder, decoder);
    EXPECT_EQ(restarted.open(prefix_number(i))->decoder, decoder);
  }
}

// Other proxies, of other versions too, must send a prefix to the same place.
TEST(Router, TheChoiceOfDecodersIsStable) {
  Router router = make_router({"p"}, {"decoder-a", "decoder-b", "decoder-c", "decoder-d"});
  std::string choices;
  for (int i = 0; i < 16; ++i) {
    choices += static_cast<char>('a' + router.open(prefix_number(i))->decoder);
  }
  EXPECT_EQ(choices, "ababddababbdcddd");
}

TEST(Router, PrefixesSpreadOverTheDecoders) {
  Router router = make_router({"p"}, {"d0", "d1", "d2", "d3"});
  constexpr int kPrefixes = 4000;
  for (int i = 0; i < kPrefixes; ++i) {
    ASSERT_TRUE(router.open(prefix_number(i)).ok());
  }
  for (std::size_t decoder = 0; decoder < 4; ++decoder) {
    EXPECT_GT(router.decoder_load(decoder), kPrefixes / 5U);
    EXPECT_LT(router.decoder_load(decoder), kPrefixes / 3U);
  }
}

TEST(Router, ADecoderThatGoesMovesOnlyItsOwnPrefixes) {
  const std::vector<std::string> all{"d0", "d1", "d2", "d3"};
  Router before = make_router({"p"}, all);
  Router after = make_router({"p"}, {"d0", "d1", "d3"});
  const std::vector<std::string> left{"d0", "d1", "d3"};
  for (int i = 0; i < 500; ++i) {
    const std::string& was = all[before.open(prefix_number(i))->decoder];
    if (was != "d2") {
      EXPECT_EQ(left[after.open(prefix_number(i))->decoder], was);
    }
  }
}

TEST(Router, ARequestWithoutAPrefixGoesToTheLeastLoadedDecoder) {
  Router router = make_router({"p"}, {"d0", "d1", "d2"});
  std::set<std::size_t> used;
  for (int i = 0; i < 3; ++i) {
    used.insert(router.open("")->decoder);
  }
  EXPECT_EQ(used.size(), 3U);
}

TEST(Router, TiesBetweenPrefillersGoRound) {
  Router router = make_router({"p0", "p1", "p2"}, {"d"});
  std::vector<std::size_t> order;
  for (int i = 0; i < 6; ++i) {
    const auto assignment = router.open("x").value();
    order.push_back(assignment.prefiller);
    router.close(assignment.req_id);  // All are idle again: every choice is a tie.
  }
  EXPECT_THAT(order, ::testing::ElementsAre(0, 1, 2, 0, 1, 2));
}

TEST(Router, TheLeastLoadedPrefillerIsChosen) {
  Router router = make_router({"p0", "p1", "p2"}, {"d"});
  const auto first = router.open("a").value();   // 0
  const auto second = router.open("b").value();  // 1
  const auto third = router.open("c").value();   // 2
  EXPECT_EQ(router.open("d")->prefiller, 0U);
  router.close(third.req_id);
  EXPECT_EQ(router.open("e")->prefiller, 2U);
  router.prefilled(second.req_id);
  EXPECT_EQ(router.prefiller_load(1), 0U);
  EXPECT_EQ(router.open("f")->prefiller, 1U);
  EXPECT_EQ(router.prefiller_load(0), 2U);
  router.close(first.req_id);
  EXPECT_EQ(router.prefiller_load(0), 1U);
}

TEST(Router, OpenRequestsAreBounded) {
  Router router = make_router({"p"}, {"d"}, {.max_open_requests = 2});
  const auto first = router.open("a").value();
  ASSERT_TRUE(router.open("b").ok());
  const auto refusal = router.open("c");
  EXPECT_EQ(refusal.status().code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refusal.status().message()), HasSubstr("2 requests"));
  router.close(first.req_id);
  EXPECT_TRUE(router.open("c").ok());
}

TEST(Router, EndsAreCountedOnce) {
  Router router = make_router({"p"}, {"d"});
  const auto first = router.open("a").value();
  const auto second = router.open("b").value();
  router.prefilled(first.req_id);
  router.prefilled(first.req_id);
  router.close(first.req_id);
  router.close(first.req_id);
  router.prefilled(first.req_id);
  router.close("unknown");
  EXPECT_EQ(router.prefiller_load(0), 1U);
  EXPECT_EQ(router.decoder_load(0), 1U);
  EXPECT_EQ(router.open_requests(), 1U);
  router.close(second.req_id);
  EXPECT_EQ(router.prefiller_load(0), 0U);
  EXPECT_EQ(router.decoder_load(0), 0U);
}

TEST(Router, AnIdThatIsOpenIsNeverGivenOutAgain) {
  Router router = Router::create({"p"}, {"d"}, {}, [] { return std::string("same"); }).value();
  ASSERT_TRUE(router.open("a").ok());
  EXPECT_EQ(router.open("b").status().code(), StatusCode::kInternal);
  EXPECT_EQ(router.open_requests(), 1U);
}

TEST(Router, NeedsDistinctNamesOfBothKinds) {
  EXPECT_EQ(Router::create({}, {"d"}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Router::create({"p"}, {}).status().code(), StatusCode::kInvalidArgument);
  const Status twice = Router::create({"p"}, {"d", "d"}).status();
  EXPECT_EQ(twice.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(twice.message()), HasSubstr("decoder 'd'"));
}

}  // namespace
}  // namespace baton::proxy
