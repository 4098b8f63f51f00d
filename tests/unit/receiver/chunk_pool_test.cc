// The index: any key's chunk is found again, and no other; whatever is evicted meanwhile.
// Promises: P1, P6.
#include "src/receiver/chunk_pool.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "src/receiver/held_chunks.h"
#include "src/receiver/request_table.h"
#include "tests/support/handoff.h"

namespace baton::receiver {
namespace {

using ::testing::ElementsAre;

TEST(PageIndex, FindsWhatIsThereAmongTagsThatMeet) {
  constexpr std::uint32_t kPages = 64;
  std::mt19937 random(7);
  PageIndex index(kPages);
  std::map<std::uint32_t, std::uint32_t> tags;  // by page
  const auto page_of = [&](std::uint32_t tag, std::uint32_t page) {
    return index.find(tag, [&](std::uint32_t candidate) { return candidate == page; });
  };
  for (int step = 0; step < 20'000; ++step) {
    const std::uint32_t page = random() % kPages;
    // Few tags, at both ends of the table, so that runs are long and wrap around.
    const std::uint32_t tag = (random() % 2 == 0 ? 0U : ~0U) ^ (random() % 4) << 25U;
    if (const auto there = tags.find(page); there != tags.end()) {
      index.erase(there->second, page);
      tags.erase(there);
    } else {
      index.insert(tag, page);
      tags.emplace(page, tag);
    }
    for (std::uint32_t other = 0; other < kPages; ++other) {
      const auto there = tags.find(other);
      ASSERT_EQ(page_of(there == tags.end() ? 0 : there->second, other),
                there == tags.end() ? PageIndex::kNone : other)
          << "step " << step;
    }
  }
}

TEST(LruList, KeepsTheOrder) {
  constexpr std::uint32_t kPages = 16;
  std::mt19937 random(7);
  LruList list(kPages);
  std::list<std::uint32_t> model;
  for (int step = 0; step < 2'000; ++step) {
    const std::uint32_t page = random() % kPages;
    if (const auto there = std::find(model.begin(), model.end(), page); there != model.end()) {
      list.remove(page);
      model.erase(there);
    } else {
      list.push_back(page);
      model.push_back(page);
    }
    ASSERT_EQ(list.size(), model.size());
    ASSERT_TRUE(model.empty() || list.front() == model.front());
  }
}

class ChunkPoolTest : public ::testing::Test {
 protected:
  void make(std::uint32_t pages) {
    buffer_ = *RegisteredBuffer::create(128, pages);
    pool_ = std::make_unique<ChunkPool>(*buffer_, pages, false);
  }
  Chunk& grant(const std::string& key, std::int64_t tokens = 4) {
    pool_->reserve(1);
    return pool_->grant(key, testing::tiny_chunk(tokens), 64, kWriter);
  }
  void retain(Chunk& chunk) {
    pool_->commit(chunk);
    pool_->unhold(chunk);
  }
  void expect_sound() const { EXPECT_EQ(pool_->audit(), ""); }

  inline static const Writer kWriter{Epoch{{1}}, 1};
  std::unique_ptr<RegisteredBuffer> buffer_;
  std::unique_ptr<ChunkPool> pool_;
};

TEST_F(ChunkPoolTest, EveryKeyIsItself) {
  const std::vector<std::string> keys{
      "m@1@0@ff@half",
      "m@1@0@0ff@half",  // None that an engine writes, but a text.
      "m@1@0@-ff@half",
      "m@1@0@FF@half",
      "m@1@0@@half",
      "m@1@0@ff",
      "m@1@0@ff@half@17@tenant%blue",
      "m@1@1@ff@half",
      "n@1@0@ff@half",
      "m@1@0@" + std::string(64, 'f') + "@half",
      "m@1@0@" + std::string(65, 'f') + "@half",
      "stock copy 1 2",
      "",
      "@@@",
      "@@@1",
      "h",
      "w",
      "m@1@0@0@half",
      "m@1@0@",
  };
  make(32);
  for (const std::string& key : keys) {
    EXPECT_EQ(pool_->find(key), nullptr) << key;
    retain(grant(key));
  }
  std::set<const Chunk*> distinct;
  for (const std::string& key : keys) {
    const Chunk* chunk = pool_->find(key);
    ASSERT_NE(chunk, nullptr) << key;
    EXPECT_EQ(pool_->key_of(*chunk), key);
    distinct.insert(chunk);
  }
  EXPECT_EQ(distinct.size(), keys.size());
  expect_sound();
  KeyBatch batch;
  pool_->look_up(keys, batch);
  EXPECT_EQ(batch.duplicate, -1);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    EXPECT_EQ(batch.entries[i].chunk, pool_->find(keys[i])) << keys[i];
    EXPECT_TRUE(pool_->remove(keys[i]));
    EXPECT_EQ(pool_->find(keys[i]), nullptr) << keys[i];
  }
  expect_sound();
  EXPECT_EQ(pool_->counts().free, 32U);
}

TEST_F(ChunkPoolTest, MetasAreTheChunksOwn) {
  make(4);
  Chunk& full = grant("m@1@0@1@half", 4);
  Chunk& partial = grant("m@1@0@2@half", 3);
  EXPECT_EQ(pool_->meta_of(full), testing::tiny_chunk(4));
  EXPECT_EQ(pool_->meta_of(partial), testing::tiny_chunk(3));
  retain(full);
  EXPECT_TRUE(pool_->remove("m@1@0@1@half"));
  EXPECT_EQ(pool_->meta_of(partial), testing::tiny_chunk(3));
  EXPECT_EQ(pool_->meta_of(grant("m@1@0@3@half", 2)), testing::tiny_chunk(2));
  expect_sound();
}

TEST_F(ChunkPoolTest, ABatchNamesTheFirstKeyThatStandsTwice) {
  make(4);
  KeyBatch batch;
  pool_->look_up({"m@1@0@1@half", "m@1@0@2@half", "x", "m@1@0@2@half", "x"}, batch);
  EXPECT_EQ(batch.duplicate, 3);
  pool_->look_up({"x", "y", "x"}, batch);
  EXPECT_EQ(batch.duplicate, 2);
  pool_->look_up({}, batch);
  EXPECT_EQ(batch.duplicate, -1);
  EXPECT_TRUE(batch.entries.empty());
}

TEST_F(ChunkPoolTest, AGrantMayEvictTheLastChunkOfAnothersFamily) {
  make(2);
  retain(grant("a@1@0@1@half"));
  retain(grant("b@1@0@1@half"));
  // When the second is granted, the only chunk of its family has been evicted for the first.
  const wire::KeyList keys{"c@1@0@1@half", "a@1@0@2@half"};
  KeyBatch batch;
  pool_->look_up(keys, batch);
  pool_->reserve(2);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    pool_->grant(keys[i], batch, i, testing::tiny_chunk(), 64, kWriter);
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    ASSERT_NE(batch.entries[i].chunk, nullptr);
    EXPECT_EQ(pool_->key_of(*batch.entries[i].chunk), keys[i]);
    EXPECT_EQ(pool_->find(keys[i]), batch.entries[i].chunk);
  }
  EXPECT_EQ(pool_->find("a@1@0@1@half"), nullptr);
  EXPECT_EQ(pool_->find("b@1@0@1@half"), nullptr);
  expect_sound();
}

TEST_F(ChunkPoolTest, ABatchBringsFamiliesThatNoneOfItsKeysKnew) {
  std::mt19937 random(3);
  std::vector<std::string> texts;
  for (const char* hash : {"1", "22", "-3", "0", "fedcba98765432100"}) {
    for (const char* around : {"m@1@0@{}@half", "m@1@1@{}@half", "m@1@0@{}@half@17"}) {
      texts.push_back(fmt::format(fmt::runtime(around), hash));
    }
  }
  for (int round = 0; round < 50; ++round) {
    make(32);
    std::shuffle(texts.begin(), texts.end(), random);
    const wire::KeyList keys = texts;
    KeyBatch batch;
    pool_->look_up(keys, batch);
    pool_->reserve(static_cast<std::uint32_t>(keys.size()));
    for (std::size_t i = 0; i < keys.size(); ++i) {
      pool_->grant(keys[i], batch, i, testing::tiny_chunk(), 64, kWriter);
    }
    for (std::size_t i = 0; i < keys.size(); ++i) {
      ASSERT_EQ(pool_->key_of(*batch.entries[i].chunk), keys[i]);
      ASSERT_EQ(pool_->find(keys[i]), batch.entries[i].chunk) << keys[i];
    }
    expect_sound();
  }
}

TEST(HeldChunks, AreASet) {
  std::mt19937 random(5);
  std::vector<Chunk> chunks(200);
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    chunks[i].generation = (i * 37) % chunks.size();
  }
  HeldChunks held;
  std::set<Chunk*> model;
  for (int step = 0; step < 20'000; ++step) {
    Chunk* const chunk = &chunks[random() % chunks.size()];
    if (random() % 2 == 0) {
      ASSERT_EQ(held.insert(chunk), model.insert(chunk).second);
    } else {
      held.erase(chunk);
      model.erase(chunk);
    }
    Chunk* const other = &chunks[random() % chunks.size()];
    ASSERT_EQ(held.contains(other), model.contains(other)) << "step " << step;
    ASSERT_EQ(held.size(), model.size());
  }
  std::vector<Chunk*> aged(model.begin(), model.end());
  std::sort(aged.begin(), aged.end(),
            [](const Chunk* a, const Chunk* b) { return a->generation < b->generation; });
  EXPECT_EQ(held.oldest_first(), aged);
  held.clear();
  EXPECT_FALSE(held.contains(aged.front()));
  EXPECT_TRUE(held.insert(aged.front()));
}

TEST_F(ChunkPoolTest, ManyBatchesAgainstAModel) {
  constexpr std::uint32_t kPages = 300;
  make(kPages);
  std::mt19937 random(11);
  std::list<std::string> model;  // least recently used first
  KeyBatch batch;
  for (int round = 0; round < 200; ++round) {
    std::set<std::string> distinct;
    while (distinct.size() < 100) {
      distinct.insert("m@1@" + std::to_string(random() % 3) + "@" +
                      std::to_string(1 + random() % 500) + "@half");
    }
    const wire::KeyList keys(distinct.begin(), distinct.end());
    pool_->look_up(keys, batch);
    ASSERT_EQ(batch.duplicate, -1);
    std::vector<Chunk*> held;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto known = std::find(model.begin(), model.end(), keys[i]);
      ASSERT_EQ(batch.entries[i].chunk != nullptr, known != model.end()) << keys[i];
      if (known != model.end()) {
        model.erase(known);
        pool_->hold(*batch.entries[i].chunk);
        held.push_back(batch.entries[i].chunk);
      }
    }
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (batch.entries[i].chunk == nullptr) {
        if (pool_->counts().free == 0) {
          model.pop_front();
        }
        pool_->reserve(1);
        Chunk& chunk = pool_->grant(keys[i], batch, i, testing::tiny_chunk(), 64, kWriter);
        pool_->commit(chunk);
        held.push_back(&chunk);
      }
    }
    for (Chunk* chunk : held) {
      model.push_back(pool_->key_of(*chunk));
      pool_->unhold(*chunk);
    }
    ASSERT_EQ(pool_->audit(), "");
    ASSERT_EQ(pool_->counts().retained, model.size());
  }
}

class Silent final : public RequestListener {
 public:
  void on_open_decided(const Request& /*request*/, const Status& /*status*/) override {}
  void on_chunk_update(const Put& /*put*/, wire::ChunkUpdate /*update*/) override {}
};

TEST_F(ChunkPoolTest, APutDoesNotEvictWhatItHits) {
  make(2);
  testing::VirtualScheduler scheduler;
  const Config config;
  FaultHooks faults;
  Silent silent;
  RequestTable table(scheduler, *pool_, config, faults, silent, [] {});
  retain(grant(testing::tiny_key(1)));  // The first to be evicted, …
  retain(grant(testing::tiny_key(2)));
  wire::AllocRequest request;
  request.keys = {testing::tiny_key(3), testing::tiny_key(1)};  // … and hit behind a miss.
  request.shape = testing::tiny_layout().shape;
  request.last_chunk_toks = 4;
  request.async = {"r", false, 2};  // Admitted by number: nothing is held beforehand.
  request.baton = {{Epoch{{1}}, Epoch{{2}}}, 1, 1};
  const auto response = table.allocate(request, "");
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_THAT(response->baton->states,
              ElementsAre(wire::KeyState::kGranted, wire::KeyState::kCommitted));
  EXPECT_EQ(pool_->find(testing::tiny_key(2)), nullptr);
  expect_sound();
}

}  // namespace
}  // namespace baton::receiver
