// The copy queue with threads that help it: on a real loop, for only that can be posted to from
// anywhere.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "src/base/digest.h"
#include "src/base/event_loop.h"
#include "src/transport/shm/copy_queue.h"
#include "tests/support/virtual_scheduler.h"
#include "tests/support/waiting.h"

namespace baton::transport::shm {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20U;
constexpr CopyHelpers kHelpers{.count = 2, .for_digests = 2};

/// Whoever touches it after its end crashes.
class Mapped {
 public:
  explicit Mapped(std::size_t bytes)
      : bytes_(bytes),
        at_(static_cast<std::byte*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0))) {}
  ~Mapped() { munmap(at_, bytes_); }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;
  std::byte* at() const { return at_; }
  /// Ends a part that begins at or below `first_bytes` before all the rest, which takes a while.
  void end_at(std::size_t first_bytes) {
    munmap(at_ + first_bytes / kMiB * kMiB, std::min(kMiB, bytes_ - first_bytes / kMiB * kMiB));
  }

 private:
  const std::size_t bytes_;
  std::byte* const at_;
};

/// Without a pause: what comes next is to happen while helpers copy.
template <typename Done>
bool spin_until(Done done) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!done()) {
    if (std::chrono::steady_clock::now() > give_up) {
      return false;
    }
    std::this_thread::yield();
  }
  return true;
}

class CopyHelpersTest : public ::testing::Test {
 protected:
  CopyHelpersTest() {
    loop_->start();
    queue_ = std::make_unique<CopyQueue>(*loop_, kHelpers);
  }
  ~CopyHelpersTest() override {
    loop_->run_sync([&] { queue_.reset(); });
    loop_->stop();
  }

  std::unique_ptr<EventLoop> loop_ = *EventLoop::create("copy-test");
  std::unique_ptr<CopyQueue> queue_;
  const PeerId peer_a_ = Epoch::random();
  const PeerId peer_b_ = Epoch::random();
};

TEST(CopyHelpers, CopyWhileTheLoopDoesOtherThings) {
  testing::VirtualScheduler busy;  // Nothing is posted to it meanwhile: no batch ends.
  CopyQueue queue(busy, {.count = 1});
  constexpr std::size_t kBytes = 16 * kMiB + 3;
  const std::vector<std::byte> from(kBytes, std::byte{7});
  std::vector<std::byte> to(kBytes);
  Status outcome = absl::UnknownError("not done");
  queue.submit(Epoch::random(), {{.to = to.data(), .from = from.data(), .bytes = kBytes}},
               absl::OkStatus(), [&](Status status) { outcome = std::move(status); });
  EXPECT_TRUE(
      testing::wait_until([&] { return queue.helped_bytes() >= kBytes - CopyLanes::kTailBytes; }));
  EXPECT_LT(queue.helped_bytes(), kBytes);
  busy.run_ready();
  EXPECT_TRUE(outcome.ok()) << outcome;
  EXPECT_EQ(to, from);
}

TEST(CopyHelpers, WhatTheyFinishedComesBeforeWhatIsDropped) {
  testing::VirtualScheduler busy;
  CopyQueue queue(busy, {.count = 1});
  constexpr std::size_t kBytes = 4 * kMiB;
  const std::vector<std::byte> from(2 * kBytes, std::byte{7});
  std::vector<std::byte> to(2 * kBytes);
  const PeerId peer = Epoch::random();
  std::vector<StatusCode> outcomes;
  for (std::size_t at = 0; at < 2 * kBytes; at += kBytes) {
    queue.submit(peer, {{.to = to.data() + at, .from = from.data() + at, .bytes = kBytes}},
                 absl::OkStatus(),
                 [&](const Status& status) { outcomes.push_back(status.code()); });
  }
  EXPECT_TRUE(testing::wait_until([&] { return queue.helped_bytes() > kBytes; }));
  queue.drop(peer, absl::CancelledError("over"));
  busy.run_ready();
  EXPECT_EQ(outcomes, (std::vector<StatusCode>{StatusCode::kOk, StatusCode::kCancelled}));
}

TEST_F(CopyHelpersTest, BytesDigestsAndOrderAreRightForManySizes) {
  struct Batch {
    std::vector<std::byte> from;
    std::vector<std::byte> to;
    std::vector<std::uint64_t> digests;
    std::size_t piece_bytes;
  };
  std::vector<std::unique_ptr<Batch>> batches;
  std::uint64_t random = 1;
  const auto next = [&] { return random = random * 6364136223846793005U + 1442695040888963407U; };
  for (int i = 0; i < 60; ++i) {
    auto batch = std::make_unique<Batch>();
    const std::size_t pieces = 1 + (next() >> 33U) % 7;
    batch->piece_bytes = i % 3 == 0 ? (next() >> 33U) % 5000 : (next() >> 33U) % (2 * kMiB);
    batch->from.resize(pieces * batch->piece_bytes);
    for (std::byte& byte : batch->from) {
      byte = static_cast<std::byte>(next() >> 40U);
    }
    batch->to.resize(batch->from.size());
    batch->digests.resize(pieces);
    batches.push_back(std::move(batch));
  }
  // On the loop only, but for the last word.
  std::vector<std::size_t> done_a;
  std::vector<std::size_t> done_b;
  std::promise<void> all_done;
  loop_->run_sync([&] {
    for (std::size_t i = 0; i < batches.size(); ++i) {
      Batch& batch = *batches[i];
      std::vector<CopyPiece> pieces;
      for (std::size_t p = 0; p < batch.digests.size(); ++p) {
        pieces.push_back({.to = batch.to.data() + p * batch.piece_bytes,
                          .from = batch.from.data() + p * batch.piece_bytes,
                          .bytes = batch.piece_bytes,
                          .digest = i % 2 == 0 ? &batch.digests[p] : nullptr});
      }
      std::vector<std::size_t>& done = i % 4 < 2 ? done_a : done_b;
      queue_->submit(i % 4 < 2 ? peer_a_ : peer_b_, std::move(pieces), absl::OkStatus(),
                     [&, i](const Status& status) {
                       EXPECT_TRUE(status.ok());
                       EXPECT_EQ(batches[i]->to, batches[i]->from) << "done before the bytes";
                       done.push_back(i);
                       if (done_a.size() + done_b.size() == batches.size()) {
                         all_done.set_value();
                       }
                     });
    }
  });
  ASSERT_EQ(all_done.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  EXPECT_TRUE(std::is_sorted(done_a.begin(), done_a.end()));
  EXPECT_TRUE(std::is_sorted(done_b.begin(), done_b.end()));
  for (std::size_t i = 0; i < batches.size(); i += 2) {
    const Batch& batch = *batches[i];
    for (std::size_t p = 0; p < batch.digests.size(); ++p) {
      EXPECT_EQ(batch.digests[p],
                digest_of(std::span(batch.from).subspan(p * batch.piece_bytes, batch.piece_bytes)))
          << "batch " << i << ", piece " << p << " of " << batch.piece_bytes;
    }
  }
}

TEST_F(CopyHelpersTest, TheLastShareWakesTheLoop) {
  constexpr std::size_t kBytes = 16 * kMiB;
  const std::vector<std::byte> from(kBytes, std::byte{7});
  std::vector<std::byte> to(kBytes);
  std::uint64_t digest = 0;
  std::promise<Status> outcome;
  loop_->run_sync([&] {
    queue_->submit(peer_a_,
                   {{.to = to.data(), .from = from.data(), .bytes = kBytes, .digest = &digest}},
                   absl::OkStatus(), [&](Status status) { outcome.set_value(std::move(status)); });
    // The only piece is a helper's now: the loop has nothing to do but to wait.
    EXPECT_TRUE(spin_until([&] { return queue_->helped_bytes() > 0; }));
  });
  auto ended = outcome.get_future();
  ASSERT_EQ(ended.wait_for(std::chrono::seconds(20)), std::future_status::ready);
  EXPECT_TRUE(ended.get().ok());
  EXPECT_EQ(to, from);
  EXPECT_EQ(digest, digest_of(from));
}

TEST_F(CopyHelpersTest, NobodyTouchesWhatWasDropped) {
  constexpr std::size_t kBytes = 32 * kMiB;
  for (int round = 0; round < 40; ++round) {
    auto from = std::make_unique<Mapped>(kBytes);
    auto to = std::make_unique<Mapped>(kBytes);
    auto digests = std::make_unique<std::vector<std::uint64_t>>(2);
    std::promise<Status> outcome;
    loop_->run_sync([&] {
      const std::uint64_t before = queue_->helped_bytes();
      std::vector<CopyPiece> pieces;
      for (std::size_t i = 0; i < 2; ++i) {
        pieces.push_back({.to = to->at() + i * kBytes / 2,
                          .from = from->at() + i * kBytes / 2,
                          .bytes = kBytes / 2,
                          .digest = round % 2 == 0 ? &(*digests)[i] : nullptr});
      }
      queue_->submit(peer_a_, std::move(pieces), absl::OkStatus(),
                     [&](Status status) { outcome.set_value(std::move(status)); });
      // The loop copies nothing in this turn. They are in the middle of what comes after.
      EXPECT_TRUE(spin_until([&] { return queue_->helped_bytes() > before; }));
      queue_->drop(peer_a_, absl::CancelledError("over"));
      to->end_at(queue_->helped_bytes() - before);
      to.reset();
      from.reset();
      digests.reset();
    });
    const Status status = outcome.get_future().get();
    EXPECT_TRUE(status.ok() || absl::IsCancelled(status)) << status;
  }
}

TEST_F(CopyHelpersTest, NobodyTouchesAnythingWhenTheQueueIsGone) {
  constexpr std::size_t kBytes = 32 * kMiB;
  for (int round = 0; round < 10; ++round) {
    auto from = std::make_unique<Mapped>(kBytes);
    auto to = std::make_unique<Mapped>(kBytes);
    auto queue = std::make_unique<CopyQueue>(*loop_, kHelpers);
    loop_->run_sync([&] {
      queue->submit(peer_a_, {{.to = to->at(), .from = from->at(), .bytes = kBytes}},
                    absl::OkStatus(), [](const Status&) {});
      EXPECT_TRUE(spin_until([&] { return queue->helped_bytes() > 0; }));
      const std::uint64_t helped_bytes = queue->helped_bytes();
      queue.reset();
      to->end_at(helped_bytes);
      to.reset();
      from.reset();
    });
  }
}

}  // namespace
}  // namespace baton::transport::shm
