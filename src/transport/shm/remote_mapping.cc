#include "src/transport/shm/remote_mapping.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>

#include "src/base/checked.h"

namespace baton::transport::shm {
namespace {

constexpr int kNeededSeals = F_SEAL_SHRINK | F_SEAL_GROW;

Status check_geometry(const Geometry& geometry) {
  const auto pages_bytes = checked_multiply(geometry.page_bytes, geometry.page_count);
  if (!pages_bytes || *pages_bytes == 0 || *pages_bytes > geometry.file_bytes) {
    return absl::DataLossError(
        fmt::format("shm: {} pages of {} bytes don't fit into the receiver's file of {} bytes",
                    geometry.page_count, geometry.page_bytes, geometry.file_bytes));
  }
  return absl::OkStatus();
}

Status check_file(int memfd, const Geometry& geometry) {
  const int seals = fcntl(memfd, F_GET_SEALS);
  if (seals < 0 || (seals & kNeededSeals) != kNeededSeals) {
    return absl::DataLossError(
        "shm: the receiver's file is not sealed against shrinking and growing; it could be cut "
        "off under our writes");
  }
  struct stat info {};
  if (fstat(memfd, &info) != 0 || static_cast<std::uint64_t>(info.st_size) != geometry.file_bytes) {
    return absl::DataLossError(fmt::format("shm: the receiver's file has {} bytes, not {}",
                                           info.st_size, geometry.file_bytes));
  }
  return absl::OkStatus();
}

Status out_of_memory(std::string_view what, std::uint64_t bytes) {
  return absl::ResourceExhaustedError(fmt::format(
      "shm: can't {} {} bytes of the receiver's memory: {}", what, bytes, std::strerror(errno)));
}

}  // namespace

StatusOr<std::unique_ptr<RemoteMapping>> RemoteMapping::map(UniqueFd memfd,
                                                            const Geometry& geometry) {
  if (Status fits = check_geometry(geometry); !fits.ok()) {
    return fits;
  }
  if (Status sound = check_file(memfd.get(), geometry); !sound.ok()) {
    return sound;
  }
  // Unreadable at first: a child forked before the madvise inherits a mapping that it can't write.
  void* address = mmap(nullptr, geometry.file_bytes, PROT_NONE, MAP_SHARED, memfd.get(), 0);
  if (address == MAP_FAILED) {
    return out_of_memory("map", geometry.file_bytes);
  }
  std::unique_ptr<RemoteMapping> mapping(
      new RemoteMapping(static_cast<std::byte*>(address), geometry));
  if (madvise(address, geometry.file_bytes, MADV_DONTFORK) != 0 ||
      mprotect(address, geometry.file_bytes, PROT_READ | PROT_WRITE) != 0) {
    return out_of_memory("make writable", geometry.file_bytes);
  }
  return mapping;
}

RemoteMapping::~RemoteMapping() {
  munmap(data_, geometry_.file_bytes);
  if (farewell_) {
    farewell_();
  }
}

StatusOr<bool> RemoteMapping::populate_slice() {
  const std::size_t slice_bytes =
      std::min<std::size_t>(kPopulateSliceBytes, geometry_.file_bytes - populated_bytes_);
  // EINVAL: Linux before 5.14 doesn't know it; the first copies fault the pages in.
  if (slice_bytes > 0 && madvise(data_ + populated_bytes_, slice_bytes, MADV_POPULATE_WRITE) != 0 &&
      errno != EINVAL) {
    return out_of_memory("populate", geometry_.file_bytes);
  }
  populated_bytes_ += slice_bytes;
  return populated_bytes_ == geometry_.file_bytes;
}

std::span<std::byte> RemoteMapping::page(std::uint32_t page) const {
  return page < geometry_.page_count ? std::span(at(page, 0), geometry_.page_bytes)
                                     : std::span<std::byte>();
}

bool RemoteMapping::contains(std::span<const std::byte> range) const {
  const std::less_equal<> before;
  return before(data_, range.data()) &&
         before(range.data() + range.size(), data_ + geometry_.file_bytes);
}

bool RemoteMapping::holds(std::uint32_t page, std::uint64_t offset_bytes,
                          std::uint64_t length_bytes) const {
  return page < geometry_.page_count && length_bytes <= geometry_.page_bytes &&
         offset_bytes <= geometry_.page_bytes - length_bytes;
}

}  // namespace baton::transport::shm
