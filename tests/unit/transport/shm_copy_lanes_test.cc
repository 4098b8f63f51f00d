// Which thread copies which part, and when a batch is finished: no thread runs here that is not
// awaited.
#include "src/transport/shm/copy_lanes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "src/base/digest.h"

namespace baton::transport::shm {
namespace {

constexpr CopyLanes::Taker kLoop = CopyLanes::kLoop;
constexpr CopyLanes::Taker kHelper = 1;
constexpr CopyLanes::Taker kOther = 2;
constexpr std::size_t kQuantum = std::size_t{256} << 10U;
constexpr std::size_t kLarge = CopyLanes::kHelpBytes;

class CopyLanesTest : public ::testing::Test {
 protected:
  using Taken = CopyLanes::Taken;

  /// A batch of `count` pieces of `bytes`, with digests if asked for. Its number, which
  /// `finished()` gives.
  int submit(const PeerId& peer, std::size_t count, std::size_t bytes, bool digests = false) {
    CopyLanes::Batch batch;
    for (std::size_t i = 0; i < count; ++i) {
      memory_.push_back(std::make_unique<Memory>(bytes));
      Memory& memory = *memory_.back();
      batch.pieces.push_back({.to = memory.to.data(),
                              .from = memory.from.data(),
                              .bytes = bytes,
                              .digest = digests ? &memory.digest : nullptr});
    }
    const int number = batches_++;
    batch.outcome = absl::OkStatus();
    batch.done = [this, number](const Status&) { finished_.push_back(number); };
    lanes_.submit(peer, std::move(batch));
    return number;
  }

  std::optional<Taken> take(CopyLanes::Taker taker) { return lanes_.take(taker, kQuantum); }
  bool give_back(std::optional<Taken> taken) {
    const std::size_t bytes = taken->share.copy();
    return lanes_.give_back(*std::move(taken), bytes);
  }
  /// All that is left for `taker`.
  void copy_rest(CopyLanes::Taker taker) {
    while (auto taken = take(taker)) {
      give_back(std::move(taken));
    }
  }
  std::vector<int> finished() {
    finished_.clear();
    for (CopyLanes::Batch& batch : lanes_.take_finished()) {
      batch.done(absl::OkStatus());
    }
    return finished_;
  }
  void expect_all_copied() {
    for (const auto& memory : memory_) {
      EXPECT_EQ(memory->to, memory->from);
      EXPECT_TRUE(memory->digest == kUnset || memory->digest == digest_of(memory->from));
    }
  }

  static constexpr std::uint64_t kUnset = 42;
  struct Memory {
    explicit Memory(std::size_t bytes) : from(bytes), to(bytes) {
      for (std::size_t i = 0; i < bytes; ++i) {
        from[i] = static_cast<std::byte>(i * 31 + bytes);
      }
    }
    std::vector<std::byte> from;
    std::vector<std::byte> to;
    std::uint64_t digest = kUnset;
  };

  std::vector<std::unique_ptr<Memory>> memory_;
  std::vector<int> finished_;
  int batches_ = 0;
  CopyLanes lanes_{kOther};
  const PeerId peer_a_ = Epoch::random();
  const PeerId peer_b_ = Epoch::random();
};

TEST_F(CopyLanesTest, SmallBatchesAreTheLoopsAlone) {
  submit(peer_a_, 1, kLarge - 1);
  submit(peer_b_, 1, kLarge);
  auto taken = take(kHelper);
  EXPECT_EQ(taken->batch->pieces[0].from, memory_[1]->from.data() + kQuantum - 256);
  give_back(std::move(taken));
}

TEST_F(CopyLanesTest, BatchesWithDigestsHaveFewerHelpers) {
  CopyLanes::Batch plain{.pieces = {{.bytes = kLarge}}, .outcome = {}, .done = {}};
  CopyLanes::Batch digested{.pieces = {{}, {.bytes = kLarge}}, .outcome = {}, .done = {}};
  std::uint64_t digest = 0;
  digested.pieces[1].digest = &digest;
  CopyLanes lanes(kHelper);
  EXPECT_TRUE(lanes.submit(peer_a_, std::move(digested)));
  EXPECT_FALSE(lanes.take(kOther, kQuantum));
  EXPECT_TRUE(lanes.submit(peer_b_, std::move(plain)));
  EXPECT_TRUE(lanes.take(kOther, kQuantum));
  EXPECT_TRUE(lanes.take(kHelper, kQuantum));
  CopyLanes none(kLoop);
  EXPECT_FALSE(none.submit(
      peer_a_, {.pieces = {{.bytes = kLarge, .digest = &digest}}, .outcome = {}, .done = {}}));
  EXPECT_FALSE(none.take(kHelper, kQuantum));
}

TEST_F(CopyLanesTest, TheTailOfTheLastBatchIsTheLoops) {
  const int first = submit(peer_a_, 1, 2 * kLarge);
  copy_rest(kHelper);
  EXPECT_GT(lanes_.helped_bytes(), kLarge);
  EXPECT_GE(lanes_.helped_bytes(), 2 * kLarge - CopyLanes::kTailBytes);
  EXPECT_LT(lanes_.helped_bytes(), 2 * kLarge) << "nothing was left for the loop";
  const int second = submit(peer_a_, 1, 2 * kLarge);  // Now there is more for the loop.
  copy_rest(kHelper);
  EXPECT_EQ(finished(), std::vector<int>{first});
  copy_rest(kLoop);
  EXPECT_EQ(finished(), std::vector<int>{second});
  expect_all_copied();
}

TEST_F(CopyLanesTest, BatchesFinishInOrderWhoeverCopiesThem) {
  const int first = submit(peer_a_, 1, kLarge);
  const int second = submit(peer_a_, 1, kLarge);
  const int empty = submit(peer_a_, 0, 0);
  auto helpers = take(kHelper);
  auto others = take(kOther);
  copy_rest(kLoop);
  EXPECT_TRUE(finished().empty()) << "a share of the first is still out";
  EXPECT_FALSE(give_back(std::move(others)));
  EXPECT_TRUE(finished().empty()) << "a share of the first is still out";
  EXPECT_TRUE(give_back(std::move(helpers)));
  EXPECT_EQ(finished(), (std::vector<int>{first, second, empty}));
  expect_all_copied();
}

TEST_F(CopyLanesTest, APieceWithADigestIsWithOneThreadAtATime) {
  submit(peer_a_, 3, kLarge, true);
  auto helpers = take(kHelper);
  auto loops = take(kLoop);
  auto others = take(kOther);
  ASSERT_NE(helpers->share.begun, nullptr);
  ASSERT_NE(loops->share.begun, nullptr);
  ASSERT_NE(others->share.begun, nullptr);
  const std::set<std::uint64_t*> digests{helpers->share.begun->digest, loops->share.begun->digest,
                                         others->share.begun->digest};
  EXPECT_EQ(digests.size(), 3U);
  std::uint64_t* const of_helper = helpers->share.begun->digest;
  EXPECT_FALSE(take(kLoop)) << "all are with somebody";
  give_back(std::move(loops));
  EXPECT_FALSE(take(kOther)) << "it has one, and the loop's is not for helpers";
  give_back(std::move(others));
  give_back(std::move(helpers));
  helpers = take(kHelper);
  ASSERT_TRUE(helpers);
  EXPECT_EQ(helpers->share.begun->digest, of_helper) << "it goes on with its own";
  give_back(std::move(helpers));
  copy_rest(kLoop);  // It takes over what others began.
  EXPECT_EQ(finished().size(), 1U);
  for (const auto& memory : memory_) {
    EXPECT_EQ(memory->digest, digest_of(memory->from));
  }
  expect_all_copied();
}

TEST_F(CopyLanesTest, DigestsAreRightForManySizes) {
  for (const std::size_t bytes : {0UL, 1UL, 255UL, 4096UL, 65537UL, kQuantum - 256, kQuantum - 255,
                                  kQuantum, kQuantum + 1, kLarge + 77}) {
    submit(peer_a_, 5, bytes, true);
    submit(peer_b_, 5, bytes, bytes % 2 == 0);
  }
  submit(peer_a_, 1, kLarge);
  bool more = true;
  while (more) {
    std::vector<std::optional<Taken>> out;
    for (const CopyLanes::Taker taker : {kLoop, kHelper, kOther}) {
      out.push_back(take(taker));
    }
    more = std::any_of(out.begin(), out.end(), [](const auto& taken) { return taken.has_value(); });
    std::reverse(out.begin(), out.end());
    for (auto& taken : out) {
      if (taken) {
        give_back(std::move(taken));
      }
    }
  }
  EXPECT_EQ(finished().size(), static_cast<std::size_t>(batches_));
  EXPECT_GT(lanes_.helped_bytes(), 0U);
  expect_all_copied();
}

TEST_F(CopyLanesTest, PeersTakeTurnsWithAllThreads) {
  submit(peer_a_, 1, 2 * kLarge);
  submit(peer_b_, 1, 2 * kLarge);
  auto first = take(kHelper);
  auto second = take(kLoop);
  auto third = take(kHelper);
  EXPECT_NE(first->lane, second->lane);
  EXPECT_EQ(first->lane, third->lane);
  give_back(std::move(first));
  give_back(std::move(second));
  give_back(std::move(third));
}

TEST_F(CopyLanesTest, ASmallBatchKeepsItsTurnWhileHelpersCopyALargeOne) {
  submit(peer_a_, 1, 4 * kLarge);
  submit(peer_b_, 1, 100);
  give_back(take(kHelper));
  give_back(take(kHelper));
  auto taken = take(kLoop);
  EXPECT_EQ(taken->batch->pieces[0].bytes, 100U);
  EXPECT_TRUE(give_back(std::move(taken)));
}

TEST_F(CopyLanesTest, DropWaitsForAShareThatIsOut) {
  submit(peer_a_, 1, 32 * kLarge);
  auto taken = lanes_.take(kHelper, 30 * kLarge);
  std::promise<void> begins;
  bool copied = false;
  std::thread helper([&] {
    begins.set_value();
    const std::size_t bytes = taken->share.copy();
    copied = true;  // Not locked: that drop() waited is what orders it before it is read.
    lanes_.give_back(*std::move(taken), bytes);
  });
  begins.get_future().wait();
  const std::vector<CopyLanes::Batch> dropped = lanes_.drop(peer_a_);
  EXPECT_TRUE(copied);
  helper.join();
  EXPECT_EQ(dropped.size(), 1U);
  EXPECT_TRUE(finished().empty());
  EXPECT_FALSE(take(kLoop));
}

TEST_F(CopyLanesTest, HelpersAreWokenForWorkAndForTheEnd) {
  std::promise<bool> got_work;
  std::promise<bool> got_more;
  std::thread helper([&] {
    auto taken = lanes_.await(kHelper, kQuantum);
    got_work.set_value(taken.has_value());
    give_back(std::move(taken));
    while ((taken = lanes_.await(kHelper, kQuantum))) {
      give_back(std::move(taken));
    }
    got_more.set_value(false);
  });
  submit(peer_a_, 1, kLarge);
  EXPECT_TRUE(got_work.get_future().get());
  lanes_.stop();
  EXPECT_FALSE(got_more.get_future().get());
  helper.join();
}

}  // namespace
}  // namespace baton::transport::shm
