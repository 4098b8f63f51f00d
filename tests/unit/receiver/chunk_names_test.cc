// The families of keys: forgotten with their last chunk, so that no peer can pile them up.
// Promises: P6, P8.
#include "src/receiver/chunk_names.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace baton::receiver {
namespace {

TEST(ChunkNames, AFamilyIsForgottenAfterItsLastChunk) {
  ChunkNames names;
  for (int i = 0; i < 1'000; ++i) {
    const std::string key = fmt::format("model-{}@1@0@ff@half", i);
    ChunkNames::Cursor cursor;
    ChunkName name = names.read(key, cursor);
    EXPECT_EQ(name.family, ChunkName::kNoFamily);
    names.acquire(key, name, cursor.split, cursor);
    EXPECT_EQ(names.text_of(name), key);
    names.release(name.family);
    EXPECT_EQ(names.text_of(name), key) << "until forget()";
    names.forget();
    ChunkNames::Cursor anew;
    EXPECT_EQ(names.read(key, anew).family, ChunkName::kNoFamily);
  }
  EXPECT_LE(names.size(), 2U);
}

TEST(ChunkNames, AFamilyWhoseChunkCameBackBeforeItWasForgottenStays) {
  ChunkNames names;
  const std::string key = "m@1@0@ff@half";
  ChunkNames::Cursor cursor;
  ChunkName name = names.read(key, cursor);
  names.acquire(key, name, cursor.split, cursor);
  names.release(name.family);
  names.acquire(key, name, cursor.split, cursor);
  names.forget();
  ChunkNames::Cursor anew;
  EXPECT_EQ(names.read(key, anew), name);
  EXPECT_EQ(names.chunks_of(name.family), 1U);
}

}  // namespace
}  // namespace baton::receiver
