// The lists of LMCache's keys: each name once, and in one list.
#include "src/config/lmcache_keys.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "src/config/known_keys.h"

namespace baton::config {
namespace {

TEST(LmcacheKeys, EachNameIsInOneList) {
  std::set<std::string_view> names;
  for (const OptionRow& row : option_table()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
  }
  for (const Alias& alias : lmcache_aliases()) {
    EXPECT_TRUE(names.insert(alias.old_name).second) << alias.old_name;
  }
  for (const std::string_view key : lmcache_foreign_keys()) {
    EXPECT_TRUE(names.insert(key).second) << key;
  }
  EXPECT_GT(names.size(), 150U);
}

TEST(LmcacheKeys, OldNamesLeadToKeysOfLmcaches) {
  for (const Alias& alias : lmcache_aliases()) {
    const Known known = find_key(alias.old_name);
    ASSERT_NE(known.row, nullptr) << alias.old_name;
    EXPECT_EQ(known.row->name, alias.name);
    EXPECT_EQ(known.row->origin, Origin::kLmcache) << alias.name;
  }
}

TEST(LmcacheKeys, ForeignKeysAreKnownAndHaveNoRow) {
  for (const std::string_view key : lmcache_foreign_keys()) {
    EXPECT_TRUE(find_key(key).is_known) << key;
    EXPECT_EQ(find_key(key).row, nullptr) << key;
  }
  EXPECT_FALSE(find_key("pd_rolle").is_known);
}

}  // namespace
}  // namespace baton::config
