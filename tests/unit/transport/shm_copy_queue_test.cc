// Whose bytes are copied when: bounded turns, fair rotation, order, and an end to all access.
#include "src/transport/shm/copy_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "src/base/digest.h"
#include "tests/support/virtual_scheduler.h"

namespace baton::transport::shm {
namespace {

class CopyQueueTest : public ::testing::Test {
 protected:
  /// A source and a target of their own, so that what was copied can be counted.
  struct Memory {
    explicit Memory(std::size_t bytes) : from(bytes, std::byte{1}), to(bytes) {}
    std::size_t copied() const {
      return static_cast<std::size_t>(std::count(to.begin(), to.end(), std::byte{1}));
    }
    CopyPiece piece() { return {.to = to.data(), .from = from.data(), .bytes = from.size()}; }
    std::vector<std::byte> from;
    std::vector<std::byte> to;
  };

  void submit(const PeerId& peer, std::vector<CopyPiece> pieces, const std::string& label,
              Status outcome = absl::OkStatus()) {
    queue_.submit(peer, std::move(pieces), std::move(outcome), [this, label](const Status& status) {
      log_.push_back(label + ":" + std::string(absl::StatusCodeToString(status.code())));
    });
  }

  testing::VirtualScheduler scheduler_;
  CopyQueue queue_{scheduler_};
  std::vector<std::string> log_;
  const PeerId peer_a_ = Epoch::random();
  const PeerId peer_b_ = Epoch::random();
};

TEST_F(CopyQueueTest, NothingHappensInline) {
  Memory memory(100);
  submit(peer_a_, {memory.piece()}, "a");
  EXPECT_EQ(memory.copied(), 0U);
  EXPECT_TRUE(log_.empty());
  scheduler_.run_ready();
  EXPECT_EQ(memory.copied(), 100U);
  EXPECT_EQ(log_, std::vector<std::string>{"a:OK"});
}

TEST_F(CopyQueueTest, ATurnIsBounded) {
  constexpr std::size_t kBytes = 5 * CopyQueue::kTurnBytes + 17;
  Memory memory(kBytes);
  submit(peer_a_, {memory.piece()}, "a");
  std::size_t before = 0;
  while (scheduler_.step()) {
    const std::size_t now = memory.copied();
    EXPECT_LE(now - before, CopyQueue::kTurnBytes);
    EXPECT_TRUE(log_.empty() || now == kBytes) << "done came before the bytes";
    before = now;
  }
  EXPECT_EQ(before, kBytes);
  EXPECT_EQ(memory.to, memory.from);
}

TEST_F(CopyQueueTest, TurnsOfTinyPiecesAreBoundedToo) {
  constexpr std::size_t kPieces = 100'000;
  Memory memory(kPieces);
  std::vector<CopyPiece> pieces;
  for (std::size_t i = 0; i < kPieces; ++i) {
    pieces.push_back({.to = &memory.to[i], .from = &memory.from[i], .bytes = 1});
  }
  submit(peer_a_, std::move(pieces), "a");
  scheduler_.step();
  EXPECT_GT(memory.copied(), 0U);
  EXPECT_LT(memory.copied(), kPieces / 10);
  scheduler_.run_ready();
  EXPECT_EQ(memory.copied(), kPieces);
}

TEST_F(CopyQueueTest, ASmallBatchIsNotStuckBehindAnotherPeersLargeOne) {
  Memory large(8 * CopyQueue::kTurnBytes);
  Memory small(1000);
  submit(peer_a_, {large.piece()}, "large");
  submit(peer_b_, {small.piece()}, "small");
  ASSERT_TRUE(scheduler_.run_until([&] { return !log_.empty(); }));
  EXPECT_EQ(log_, std::vector<std::string>{"small:OK"});
  EXPECT_LE(large.copied(), 2 * CopyQueue::kTurnBytes);
}

TEST_F(CopyQueueTest, PeersAdvanceAlike) {
  Memory a(4 * CopyQueue::kTurnBytes);
  Memory b(4 * CopyQueue::kTurnBytes);
  submit(peer_a_, {a.piece()}, "a");
  submit(peer_b_, {b.piece()}, "b");
  scheduler_.step();
  EXPECT_NEAR(static_cast<double>(a.copied()), static_cast<double>(b.copied()),
              static_cast<double>(CopyQueue::kQuantumBytes));
  EXPECT_GT(b.copied(), 0U);
}

TEST_F(CopyQueueTest, BatchesOfOnePeerCompleteInOrder) {
  Memory large(2 * CopyQueue::kTurnBytes);
  Memory small(10);
  submit(peer_a_, {large.piece()}, "first");
  submit(peer_a_, {}, "second");
  submit(peer_a_, {}, "refused", absl::InvalidArgumentError("bad"));
  submit(peer_a_, {small.piece()}, "last");
  scheduler_.run_ready();
  EXPECT_EQ(log_, (std::vector<std::string>{"first:OK", "second:OK", "refused:INVALID_ARGUMENT",
                                            "last:OK"}));
}

TEST_F(CopyQueueTest, DigestsAreSetWhenDone) {
  constexpr std::uint64_t kUnset = 42;
  Memory large(3 * CopyQueue::kTurnBytes + 100);
  Memory small(100);
  std::vector<std::uint64_t> digests(3, kUnset);
  std::vector<CopyPiece> pieces{large.piece(), small.piece(), small.piece()};
  pieces[1].bytes = 0;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    pieces[i].digest = &digests[i];
  }
  submit(peer_a_, std::move(pieces), "a");
  std::size_t before = 0;
  while (scheduler_.step()) {
    const std::size_t now = large.copied();
    EXPECT_LE(now - before, CopyQueue::kTurnBytes + DigestingCopy::kMaxExcessBytes);
    EXPECT_TRUE(log_.empty() || now == large.to.size());
    before = now;
  }
  EXPECT_EQ(log_, std::vector<std::string>{"a:OK"});
  EXPECT_EQ(large.to, large.from);
  EXPECT_EQ(small.to, small.from);
  EXPECT_EQ(digests[0], digest_of(large.from));
  EXPECT_EQ(digests[1], digest_of({}));
  EXPECT_EQ(digests[2], digest_of(small.from));
}

TEST_F(CopyQueueTest, DropLeavesDigestsAlone) {
  Memory dropped(4 * CopyQueue::kTurnBytes);
  auto digest = std::make_unique<std::uint64_t>(42);
  CopyPiece piece = dropped.piece();
  piece.digest = digest.get();
  submit(peer_a_, {piece}, "a");
  scheduler_.step();
  ASSERT_GT(dropped.copied(), 0U);
  queue_.drop(peer_a_, absl::CancelledError("over"));
  EXPECT_EQ(*digest, 42U);
  digest.reset();  // A sanitizer sees who sets it now.
  scheduler_.run_ready();
  EXPECT_EQ(log_, std::vector<std::string>{"a:CANCELLED"});
}

TEST_F(CopyQueueTest, DropEndsAllAccessAtOnce) {
  Memory dropped(4 * CopyQueue::kTurnBytes);
  Memory kept(4 * CopyQueue::kTurnBytes);
  submit(peer_a_, {dropped.piece()}, "a1");
  submit(peer_a_, {dropped.piece()}, "a2");
  submit(peer_b_, {kept.piece()}, "b");
  scheduler_.step();
  const std::size_t copied = dropped.copied();
  ASSERT_GT(copied, 0U);
  queue_.drop(peer_a_, absl::CancelledError("over"));
  EXPECT_TRUE(log_.empty()) << "inline";
  scheduler_.run_ready();
  EXPECT_EQ(dropped.copied(), copied);
  EXPECT_EQ(kept.copied(), kept.to.size());
  EXPECT_EQ(log_, (std::vector<std::string>{"a1:CANCELLED", "a2:CANCELLED", "b:OK"}));
}

TEST_F(CopyQueueTest, AQueueThatIsGoneCopiesNothing) {
  Memory memory(10);
  {
    CopyQueue queue(scheduler_);
    queue.submit(peer_a_, {memory.piece()}, absl::OkStatus(), [](const Status&) {});
  }
  scheduler_.run_ready();
  EXPECT_EQ(memory.copied(), 0U);
}

}  // namespace
}  // namespace baton::transport::shm
