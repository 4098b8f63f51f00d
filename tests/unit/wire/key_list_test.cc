// The keys of a message in one piece of memory.
#include "src/wire/key_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace baton::wire {
namespace {

using ::testing::ElementsAre;

TEST(KeyList, IsAListOfTexts) {
  KeyList keys{"a", "", "ccc"};
  EXPECT_THAT(keys, ElementsAre("a", "", "ccc"));
  EXPECT_EQ(keys[1], "");
  EXPECT_EQ(keys.front(), "a");
  EXPECT_EQ(keys.back(), "ccc");
  EXPECT_EQ(keys.text(), "accc");
  keys.push_back(std::string(1'000, 'd'));
  EXPECT_EQ(keys.size(), 4U);
  keys.push_back("e", "", "ee");
  EXPECT_EQ(keys[4], "eee");
  EXPECT_EQ(keys[3], std::string(1'000, 'd'));
  keys.clear();
  EXPECT_TRUE(keys.empty());
}

TEST(KeyList, WhereAKeyEndsMakesADifference) {
  EXPECT_EQ((KeyList{"ab", "c"}), (KeyList{"ab", "c"}));
  EXPECT_FALSE((KeyList{"ab", "c"}) == (KeyList{"a", "bc"}));
}

TEST(KeyList, ComesFromAndBecomesAVector) {
  const std::vector<std::string> texts{"x", "yy"};
  const KeyList keys = texts;
  EXPECT_EQ(std::vector<std::string>(keys.begin(), keys.end()), texts);
  EXPECT_EQ(std::find(keys.begin(), keys.end(), "yy") - keys.begin(), 1);
}

}  // namespace
}  // namespace baton::wire
