// Pages of one receiver's that this sender has before it puts. docs/protocol.md, "Pages ahead".
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "baton/memory_obj.h"
#include "src/base/scheduler.h"
#include "src/base/thread_annotations.h"
#include "src/transport/transport.h"

namespace baton::sender {

/// Each page is free; or taken, by a put that fills it; or lent, as a MemoryObj that prefill writes
/// into. From there it goes back to being free, or to the receiver; or it is spent: it holds a
/// committed chunk, and is the receiver's. A lent page goes nowhere before its last MemoryObj is
/// gone.
///
/// Of one connection: close() ends it, and what is lent afterwards is memory that leads nowhere.
///
/// Threads: lend() and the ends of memory objects on any; everything else on the loop.
class AheadStock : public std::enable_shared_from_this<AheadStock> {
 public:
  struct Page {
    std::uint32_t page = 0;
    std::uint64_t generation = 0;
    bool operator==(const Page&) const = default;
  };
  /// Nothing here writes to them any more. On the loop, in a turn of its own; not after close().
  using GiveBack = absl::AnyInvocable<void(std::vector<Page>)>;

  static std::shared_ptr<AheadStock> create(Scheduler& scheduler,
                                            std::shared_ptr<const transport::MappedPages> mapping,
                                            GiveBack give_back);

  /// The receiver has granted these. One that is known already is left as it is.
  void add(std::span<const Page> pages);
  std::size_t free_count() const;
  /// Whatever is free beyond that goes back, now and later.
  void keep(std::size_t most);

  /// All of them, or none.
  std::vector<Page> take(std::size_t count);
  /// It was not needed after all.
  void put_back(const Page& page);
  /// Its put has failed: to the receiver with it.
  void give_up(const Page& page);
  /// It holds a committed chunk.
  void spend(const Page& page);
  /// The receiver wants these; the ones that are in use go back when they aren't any more. Of one
  /// that is not here it is told at once, unless a grant may be on its way (`all_came` is false).
  void recall(std::span<const Page> pages, bool all_came);
  /// Here still, in whatever way: nothing else may give it back.
  bool has(const Page& page) const;

  /// As many as are free, up to `most`.
  std::vector<MemoryObj> lend(const TensorMeta& meta, std::uint32_t most);
  /// The page that the object lies in, if it is one of this stock's and may be put.
  std::optional<Page> find(const MemoryObj& object) const;

  void close();

 private:
  enum class State : std::uint8_t { kFree, kTaken, kLent };
  struct Entry {
    std::uint64_t generation = 0;
    State state = State::kFree;
    bool goes_back = false;   // as soon as it can
    bool has_failed = false;  // with its put: it takes no other chunk
    bool is_spent = false;    // forgotten then
  };

  AheadStock(Scheduler& scheduler, std::shared_ptr<const transport::MappedPages> mapping,
             GiveBack give_back)
      : scheduler_(scheduler), mapping_(std::move(mapping)), give_back_(std::move(give_back)) {}

  MemoryObj wrap(std::uint32_t page, const TensorMeta& meta);
  void on_object_gone(std::uint32_t page);
  Entry* find_entry(const Page& page) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// It is in no use any more.
  void settle(std::uint32_t page, Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void trim() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void return_later(const Page& page) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void return_now();

  Scheduler& scheduler_;
  const std::shared_ptr<const transport::MappedPages> mapping_;
  GiveBack give_back_;  // on the loop

  mutable Mutex mutex_;
  std::map<std::uint32_t, Entry> pages_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::uint32_t> free_ ABSL_GUARDED_BY(mutex_);
  std::vector<Page> returning_ ABSL_GUARDED_BY(mutex_);
  std::size_t most_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace baton::sender
