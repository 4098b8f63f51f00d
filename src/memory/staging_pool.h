// The sender's pages: where prefill puts its chunks until they are written to the decoder.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <vector>

#include "baton/memory_obj.h"
#include "baton/status.h"
#include "src/base/loop_ref.h"
#include "src/base/thread_annotations.h"
#include "src/memory/page_allocator.h"
#include "src/memory/registered_buffer.h"

namespace baton {

class StagingReservation;

/// Hands out pages as MemoryObj, either at once or not at all, or from a reservation that was made
/// for a whole request (promise P4: whoever holds pages of a request never waits for more).
/// Reservations are granted first come, first served; while one waits, allocate() without a
/// reservation is refused, so that small requests can't starve it.
///
/// Threads: all methods from any thread.
class StagingPool : public std::enable_shared_from_this<StagingPool> {
 public:
  /// Of the buffer's pages from `first_page` on.
  static std::shared_ptr<StagingPool> create(std::shared_ptr<RegisteredBuffer> buffer,
                                             std::shared_ptr<LoopRef> loop,
                                             std::uint32_t first_page = 0);

  /// One page for a chunk of this shape, at once. kResourceExhausted with the counts;
  /// kInvalidArgument if the chunk is larger than a page.
  StatusOr<MemoryObj> allocate(const TensorMeta& meta);
  /// `count` pages, or none.
  StatusOr<std::vector<MemoryObj>> batched_allocate(const TensorMeta& meta, std::uint32_t count);

  using Granted = absl::AnyInvocable<void(std::shared_ptr<StagingReservation>)>;
  using WaiterId = std::uint64_t;
  /// Reserves `pages` pages. `granted` is posted to the loop, exactly once unless forget() says
  /// otherwise. kResourceExhausted if the pool has fewer pages in all.
  StatusOr<WaiterId> reserve(std::uint32_t pages, Granted granted);
  /// Stops waiting. False if the reservation was granted already (`granted` runs or has run).
  bool forget(WaiterId waiter);

  const RegisteredBuffer& buffer() const { return *buffer_; }
  struct Counts {
    std::uint32_t total = 0;
    std::uint32_t free = 0;      ///< reserved ones included
    std::uint32_t reserved = 0;  ///< promised, not yet taken
    std::uint32_t waiting = 0;   ///< reservations in the queue
  };
  Counts counts() const;

 private:
  friend class StagingReservation;
  struct Waiter {
    WaiterId id;
    std::uint32_t pages;
    Granted granted;
  };

  StagingPool(std::shared_ptr<RegisteredBuffer> buffer, std::shared_ptr<LoopRef> loop,
              std::uint32_t first_page);

  StatusOr<std::vector<MemoryObj>> take(const TensorMeta& meta, std::uint32_t count,
                                        StagingReservation* from);
  MemoryObj wrap(std::uint32_t page, const TensorMeta& meta);
  void give_back(std::uint32_t page);
  void unreserve(std::uint32_t pages);
  /// The tasks are posted after the lock is released: a task that a stopped loop drops gives its
  /// reservation back right there.
  [[nodiscard]] std::vector<Task> grant_waiters() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void post_all(std::vector<Task> tasks);

  const std::shared_ptr<RegisteredBuffer> buffer_;
  const std::shared_ptr<LoopRef> loop_;
  const std::uint32_t first_page_;  // the allocator counts from here

  mutable Mutex mutex_;
  PageAllocator pages_ ABSL_GUARDED_BY(mutex_);
  std::uint32_t reserved_ ABSL_GUARDED_BY(mutex_) = 0;
  std::list<Waiter> waiters_ ABSL_GUARDED_BY(mutex_);
  WaiterId next_waiter_ ABSL_GUARDED_BY(mutex_) = 1;
};

/// Pages promised to one request. Each can be taken once; what is left goes back with the object.
class StagingReservation {
 public:
  StagingReservation(std::shared_ptr<StagingPool> pool, std::uint32_t pages)
      : pool_(std::move(pool)), left_(pages) {}
  ~StagingReservation() { pool_->unreserve(left_); }
  StagingReservation(const StagingReservation&) = delete;
  StagingReservation& operator=(const StagingReservation&) = delete;

  /// Up to `most` pages from elsewhere.
  using Lender = std::function<std::vector<MemoryObj>(const TensorMeta& meta, std::uint32_t most)>;
  /// Is asked before a reserved page is taken. Before the first batched_allocate().
  void lend_first(Lender lender) { lender_ = std::move(lender); }

  StatusOr<std::vector<MemoryObj>> batched_allocate(const TensorMeta& meta, std::uint32_t count);

 private:
  friend class StagingPool;
  const std::shared_ptr<StagingPool> pool_;
  Lender lender_;
  std::uint32_t left_;  // guarded by the pool's mutex
};

}  // namespace baton
