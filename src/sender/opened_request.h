// What a RequestHandle and the progress thread share.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "src/base/loop_ref.h"
#include "src/base/thread_annotations.h"
#include "src/memory/staging_pool.h"

namespace baton::detail {

/// Threads: any. Its end (the last handle's, or close()) gives the unused staging pages back and
/// posts `released`.
class OpenedRequest {
 public:
  OpenedRequest(std::string req_id, std::uint64_t attempt,
                std::shared_ptr<StagingReservation> staging, std::shared_ptr<LoopRef> loop,
                Task released)
      : req_id_(std::move(req_id)),
        attempt_(attempt),
        staging_(std::move(staging)),
        loop_(std::move(loop)),
        released_(std::move(released)) {}
  ~OpenedRequest() { close(); }
  OpenedRequest(const OpenedRequest&) = delete;
  OpenedRequest& operator=(const OpenedRequest&) = delete;

  const std::string& req_id() const { return req_id_; }
  std::uint64_t attempt() const { return attempt_; }

  StatusOr<std::vector<MemoryObj>> allocate(const TensorMeta& meta, std::uint32_t count);
  void close();

 private:
  const std::string req_id_;
  const std::uint64_t attempt_;
  Mutex mutex_;
  std::shared_ptr<StagingReservation> staging_ ABSL_GUARDED_BY(mutex_);  // empty once closed
  const std::shared_ptr<LoopRef> loop_;
  Task released_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace baton::detail
