// What is to be copied, and who copies which part of it next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "baton/status.h"
#include "src/base/thread_annotations.h"
#include "src/transport/shm/copy_share.h"
#include "src/transport/transport.h"

namespace baton::transport::shm {

/// Threads: all methods from any; but no callback is called or destroyed by a helper.
class CopyLanes {
 public:
  /// A thread that copies: the loop, or a helper, which has a number above.
  using Taker = std::uint32_t;
  static constexpr Taker kLoop = 0;

  /// Helpers take part in batches from here on up: to wake one costs as much as copying some
  /// hundred KiB.
  static constexpr std::size_t kHelpBytes = std::size_t{2} << 20U;
  /// They leave what is left below this to the loop, which would have to wait for them otherwise.
  static constexpr std::size_t kTailBytes = std::size_t{512} << 10U;

  struct Batch {
    std::vector<CopyPiece> pieces;
    Status outcome;
    Done done;

    // Its state here.
    std::size_t next_piece = 0;
    std::size_t left_bytes = 0;  ///< that nobody took
    Taker last_helper = kLoop;   ///< helpers up to this one may take part
    std::size_t open = 0;        ///< shares that were taken, and pieces that were begun
  };
  struct Lane;
  struct Taken {
    CopyShare share{};
    std::size_t cost_bytes = 0;
    Taker taker = kLoop;
    Lane* lane = nullptr;
    Batch* batch = nullptr;
  };

  /// Helpers up to `last_digest_helper` take part in batches with digests, too: whoever verifies
  /// those needs a processor meanwhile.
  explicit CopyLanes(Taker last_digest_helper);
  ~CopyLanes();

  /// True if helpers may take part.
  bool submit(const PeerId& peer, Batch batch);

  /// The next share, of the peer whose turn it is.
  std::optional<Taken> take(Taker taker, std::size_t budget_bytes);
  /// The same for a helper, which sleeps until there is one. Nothing after stop().
  std::optional<Taken> await(Taker helper, std::size_t budget_bytes);
  /// After so much of it was copied. True if batches were finished by that.
  bool give_back(Taken taken, std::size_t copied_bytes);
  bool has_more() const;
  /// What helpers gave back, copied.
  std::uint64_t helped_bytes() const;

  /// What was copied since the last call, in order.
  std::vector<Batch> take_finished();
  /// Takes out what is pending for `peer`. Waits for helpers' shares of it: on return nobody
  /// touches its ranges and digests any more.
  std::vector<Batch> drop(const PeerId& peer);

  /// Helpers get nothing any more.
  void stop();

 private:
  Taker last_helper_of(const Batch& batch) const;
  std::optional<Taken> take_locked(Taker taker, std::size_t budget_bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool settle(Lane& lane) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Taker last_digest_helper_;
  mutable Mutex mutex_;
  CondVar work_;   // something that helpers may take, or the end
  CondVar quiet_;  // a lane that is being dropped has no share out any more
  // No lane is empty.
  std::map<PeerId, std::unique_ptr<Lane>> lanes_ ABSL_GUARDED_BY(mutex_);
  std::deque<Lane*> rotation_ ABSL_GUARDED_BY(mutex_);  // those of which something can be taken
  std::vector<Batch> finished_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t helped_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint32_t sleepers_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace baton::transport::shm
