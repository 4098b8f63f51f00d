// An admitted request, on the sender's side.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "baton/memory_obj.h"
#include "baton/status.h"

namespace baton {

namespace detail {
class OpenedRequest;
}

/// The receiver has promised pages for the whole request, and staging pages are reserved here: from
/// now on nothing waits for memory. Copies refer to the same request. When the last is gone (or at
/// close()) without a put marked `is_last_prefill`, the request is given back on both sides.
///
/// Threads: any.
class RequestHandle {
 public:
  RequestHandle() = default;
  explicit RequestHandle(std::shared_ptr<detail::OpenedRequest> request)
      : request_(std::move(request)) {}

  /// One staging page for a chunk of this shape, out of the reservation, or a page of the
  /// receiver's (RequestSpec::in_place). Never waits. kResourceExhausted once all reserved pages
  /// were taken.
  StatusOr<MemoryObj> allocate(const TensorMeta& meta) const;
  StatusOr<std::vector<MemoryObj>> batched_allocate(const TensorMeta& meta,
                                                    std::uint32_t count) const;

  const std::string& req_id() const;
  std::uint64_t attempt() const;
  void close();

 private:
  std::shared_ptr<detail::OpenedRequest> request_;
};

}  // namespace baton
