// The sender's view of a receiver's buffer.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "baton/status.h"
#include "src/base/unique_fd.h"
#include "src/transport/transport.h"

namespace baton::transport::shm {

/// The receiver's pages, as it describes them: hostile until map() has checked them.
struct Geometry {
  std::uint64_t page_bytes = 0;
  std::uint64_t file_bytes = 0;
  std::uint32_t page_count = 0;
};

/// A writable mapping of a peer's memfd. No child forked at any moment can write through it: it is
/// kept out of forks (MADV_DONTFORK) before it becomes writable, and no descriptor is kept.
class RemoteMapping final : public MappedPages {
 public:
  /// What populate_slice() does in one call: about 3 ms.
  static constexpr std::size_t kPopulateSliceBytes = 32U << 20U;

  /// kDataLoss unless the file is sealed against shrinking and growing (touching a page beyond the
  /// end of a file is SIGBUS), as large as it is said to be, and holds all pages.
  static StatusOr<std::unique_ptr<RemoteMapping>> map(UniqueFd memfd, const Geometry& geometry);
  ~RemoteMapping() override;
  RemoteMapping(const RemoteMapping&) = delete;
  RemoteMapping& operator=(const RemoteMapping&) = delete;

  /// Faults in the next slice, so that copies don't (first-touch copies run at a third of the
  /// speed). True when all is populated.
  StatusOr<bool> populate_slice();

  /// Is this range inside one page of the peer's?
  bool holds(std::uint32_t page, std::uint64_t offset_bytes, std::uint64_t length_bytes) const;
  /// Only for a range that holds() approves.
  std::byte* at(std::uint32_t page, std::uint64_t offset_bytes) const {
    return data_ + page * geometry_.page_bytes + offset_bytes;
  }
  const Geometry& geometry() const { return geometry_; }
  std::span<std::byte> page(std::uint32_t page) const override;
  /// All of it inside this mapping.
  bool contains(std::span<const std::byte> range) const;

  /// Called once it is unmapped, on whichever thread lets go of it last: nothing is stored any
  /// more.
  void set_farewell(absl::AnyInvocable<void()> farewell) { farewell_ = std::move(farewell); }

 private:
  RemoteMapping(std::byte* data, const Geometry& geometry) : data_(data), geometry_(geometry) {}

  std::byte* const data_;
  const Geometry geometry_;
  std::size_t populated_bytes_ = 0;
  absl::AnyInvocable<void()> farewell_;
};

}  // namespace baton::transport::shm
