#include "src/sender/opened_request.h"

#include <fmt/format.h>

#include "baton/request_handle.h"

namespace baton::detail {

StatusOr<std::vector<MemoryObj>> OpenedRequest::allocate(const TensorMeta& meta,
                                                         std::uint32_t count) {
  std::shared_ptr<StagingReservation> staging;
  {
    const MutexLock lock(mutex_);
    staging = staging_;
  }
  if (staging == nullptr) {
    return absl::FailedPreconditionError(fmt::format("request {} was closed", req_id_));
  }
  return staging->batched_allocate(meta, count);
}

void OpenedRequest::close() {
  std::shared_ptr<StagingReservation> staging;
  Task released;
  {
    const MutexLock lock(mutex_);
    staging.swap(staging_);
    released = std::exchange(released_, nullptr);
  }
  if (released) {
    loop_->post(std::move(released));
  }
}

}  // namespace baton::detail

namespace baton {

StatusOr<MemoryObj> RequestHandle::allocate(const TensorMeta& meta) const {
  auto objects = request_->allocate(meta, 1);
  if (!objects.ok()) {
    return objects.status();
  }
  return std::move(objects->front());
}

StatusOr<std::vector<MemoryObj>> RequestHandle::batched_allocate(const TensorMeta& meta,
                                                                 std::uint32_t count) const {
  return request_->allocate(meta, count);
}

const std::string& RequestHandle::req_id() const {
  return request_->req_id();
}
std::uint64_t RequestHandle::attempt() const {
  return request_->attempt();
}
void RequestHandle::close() {
  request_->close();
}

}  // namespace baton
