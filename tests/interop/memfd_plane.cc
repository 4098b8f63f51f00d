#include "tests/interop/memfd_plane.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <utility>

#include "src/base/unique_fd.h"

namespace baton::testing {
namespace {

constexpr std::string_view kHead = "standin|";

Status bad() {
  return absl::InvalidArgumentError(std::string("these are no agent's metadata"));
}

}  // namespace

MemfdPlane::Mapping::~Mapping() {
  if (data != nullptr) {
    munmap(data, bytes);
  }
}

StatusOr<std::string> MemfdPlane::check(std::string_view metadata) const {
  const std::size_t end = metadata.find('|', kHead.size());
  if (!metadata.starts_with(kHead) || end == std::string_view::npos) {
    return bad();
  }
  return std::string(metadata.substr(kHead.size(), end - kHead.size()));
}

StatusOr<transport::StockPlane::Door> MemfdPlane::open_door() {
  Door door;
  door.id = ++last_;
  door.agent_name = fmt::format("baton-{}-{}", getpid(), door.id);
  door.metadata =
      fmt::format("{}{}|{}|{}|{}|{}", kHead, door.agent_name, getpid(), buffer_.memfd(),
                  reinterpret_cast<std::uint64_t>(buffer_.data()), buffer_.size_bytes());
  for (std::uint32_t page = 0; page < buffer_.page_count(); ++page) {
    door.pages.push_back(
        {reinterpret_cast<std::uint64_t>(buffer_.page(page).data()), buffer_.page_bytes(), 0});
  }
  doors_[door.id];
  return door;
}

StatusOr<std::string> MemfdPlane::introduce(transport::StockPeerId peer,
                                            std::string_view metadata) {
  auto name = check(metadata);
  if (!name.ok()) {
    return name;
  }
  metadata.remove_prefix(kHead.size());
  std::uint64_t numbers[4] = {};
  for (std::uint64_t& number : numbers) {
    metadata.remove_prefix(metadata.find('|') == std::string_view::npos ? metadata.size()
                                                                        : metadata.find('|') + 1);
    if (std::from_chars(metadata.data(), metadata.data() + metadata.size(), number).ec !=
        std::errc()) {
      return bad();
    }
  }
  const UniqueFd fd(
      open(fmt::format("/proc/{}/fd/{}", numbers[0], numbers[1]).c_str(), O_RDWR | O_CLOEXEC));
  if (fd.get() < 0) {
    return bad();
  }
  void* const data = mmap(nullptr, numbers[3], PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (data == MAP_FAILED) {
    return bad();
  }
  Mapping& mapping = *doors_.at(peer).peer;
  mapping.data = static_cast<std::byte*>(data);
  mapping.base = numbers[2];
  mapping.bytes = numbers[3];
  return name;
}

Status MemfdPlane::set_pages(transport::StockPeerId peer, transport::PageMemory memory,
                             const std::vector<transport::PageAddress>& pages) {
  Open& door = doors_.at(peer);
  for (const transport::PageAddress& page : pages) {
    if (memory != transport::PageMemory::kDram || page.address < door.peer->base ||
        page.address - door.peer->base > door.peer->bytes ||
        page.length_bytes > door.peer->bytes - (page.address - door.peer->base)) {
      return absl::InvalidArgumentError(
          fmt::format("page at {:#x} lies outside of what the peer registered", page.address));
    }
  }
  door.pages = pages;
  return absl::OkStatus();
}

std::byte* MemfdPlane::at(transport::StockPeerId peer, std::uint32_t page, std::uint64_t offset,
                          std::uint64_t bytes) {
  const auto door = doors_.find(peer);
  if (door == doors_.end() || page >= door->second.pages.size() ||
      offset + bytes > door->second.pages[page].length_bytes) {
    return nullptr;
  }
  return door->second.peer->data + (door->second.pages[page].address - door->second.peer->base) +
         offset;
}

void MemfdPlane::finish(transport::Done done, const Status& status) {
  scheduler_.post([done = std::move(done), status]() mutable { done(status); });
}

void MemfdPlane::write_batch(transport::StockPeerId peer, std::vector<transport::WriteOp> ops,
                             transport::Done done) {
  Status status;
  for (const transport::WriteOp& op : ops) {
    std::byte* const there = at(peer, op.page, op.offset_bytes, op.local.size());
    if (there == nullptr) {
      status = absl::CancelledError(std::string("no such peer or page"));
      break;
    }
    std::memcpy(there, op.local.data(), op.local.size());
  }
  finish(std::move(done), status);
}

void MemfdPlane::read_batch(transport::StockPeerId peer, std::vector<transport::ReadOp> ops,
                            transport::Done done) {
  Status status;
  for (const transport::ReadOp& op : ops) {
    const std::byte* const there = at(peer, op.page, op.offset_bytes, op.local.size());
    if (there == nullptr) {
      status = absl::CancelledError(std::string("no such peer or page"));
      break;
    }
    std::memcpy(op.local.data(), there, op.local.size());
  }
  finish(std::move(done), status);
}

void MemfdPlane::revoke(transport::StockPeerId peer, Task fenced) {
  doors_.erase(peer);
  scheduler_.post(std::move(fenced));
}

}  // namespace baton::testing
