#include "src/memory/registered_buffer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <functional>

#include "src/base/checked.h"

namespace baton {

StatusOr<std::unique_ptr<RegisteredBuffer>> RegisteredBuffer::create(std::size_t page_bytes,
                                                                     std::uint32_t page_count) {
  if (page_bytes == 0 || page_count == 0) {
    return absl::InvalidArgumentError(
        fmt::format("a registered buffer needs at least one page of at least one byte, not {} "
                    "pages of {} bytes",
                    page_count, page_bytes));
  }
  const std::size_t rounded = checked_round_up(page_bytes, kPageAlignment).value_or(0);
  const auto total = checked_multiply(rounded, page_count);
  if (rounded == 0 || !total.has_value()) {
    return absl::InvalidArgumentError(
        fmt::format("{} pages of {} bytes exceed the address space", page_count, page_bytes));
  }
  UniqueFd memfd(memfd_create("baton-buffer", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memfd || ftruncate(memfd.get(), static_cast<off_t>(*total)) != 0) {
    return absl::ResourceExhaustedError(
        fmt::format("can't make a buffer of {} bytes: {}", *total, std::strerror(errno)));
  }
  // A peer that maps the file must be able to rely on its size: touching a page beyond the end of a
  // shrunken file is SIGBUS.
  if (fcntl(memfd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return absl::InternalError(fmt::format("can't seal the buffer: {}", std::strerror(errno)));
  }
  void* mapped =
      mmap(nullptr, *total, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, memfd.get(), 0);
  if (mapped == MAP_FAILED) {
    return absl::ResourceExhaustedError(
        fmt::format("can't map a buffer of {} bytes: {}", *total, std::strerror(errno)));
  }
  return std::unique_ptr<RegisteredBuffer>(new RegisteredBuffer(
      std::move(memfd), static_cast<std::byte*>(mapped), *total, rounded, page_count));
}

RegisteredBuffer::RegisteredBuffer(UniqueFd memfd, std::byte* data, std::size_t mapped_bytes,
                                   std::size_t page_bytes, std::uint32_t page_count)
    : memfd_(std::move(memfd)),
      data_(data),
      mapped_bytes_(mapped_bytes),
      page_bytes_(page_bytes),
      page_count_(page_count) {}

RegisteredBuffer::~RegisteredBuffer() {
  munmap(data_, mapped_bytes_);
}

bool RegisteredBuffer::contains(std::span<const std::byte> range) const {
  const std::less_equal<const std::byte*> not_after;
  return not_after(data_, range.data()) && range.size() <= mapped_bytes_ &&
         not_after(range.data(), data_ + (mapped_bytes_ - range.size()));
}

}  // namespace baton
