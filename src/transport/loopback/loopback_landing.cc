// How bytes get into the pages of a LoopbackTransport, and out of them.
#include <fmt/format.h>

#include <cstring>
#include <type_traits>

#include "src/base/log.h"
#include "src/transport/loopback/loopback_transport.h"

namespace baton::transport {

bool LoopbackTransport::is_guarded() const {
  LoopbackConditions* conditions = hub_.conditions();
  return conditions == nullptr || conditions->guarded(self_);
}

bool LoopbackTransport::guard_allows(const PeerId& writer, std::uint32_t page,
                                     std::uint64_t generation, std::uint64_t offset_bytes,
                                     std::size_t length_bytes) const {
  return !is_guarded() || guard_->may_write(writer, page, generation, offset_bytes, length_bytes);
}

template <typename Op>
bool LoopbackTransport::may_move(const PeerId& peer, const Op& op, std::size_t from,
                                 std::size_t bytes) const {
  const std::size_t page_bytes = buffer_->page_bytes();
  const bool fits = op.page < buffer_->page_count() && op.local.size() <= page_bytes &&
                    op.offset_bytes <= page_bytes - op.local.size();
  if constexpr (std::is_same_v<Op, WriteOp>) {
    return fits && guard_allows(peer, op.page, op.generation, op.offset_bytes + from, bytes);
  } else {
    return fits && (!is_guarded() ||
                    guard_->may_read(peer, op.page, op.generation, op.offset_bytes + from, bytes));
  }
}

void LoopbackTransport::report_landing(const LoopbackConditions::Landing& landing) {
  if (LoopbackConditions* conditions = hub_.conditions(); conditions != nullptr) {
    conditions->on_landed(landing);
  }
}

std::uint64_t LoopbackTransport::fences_of(const PeerId& writer) const {
  const auto found = fenced_.find(writer);
  return found == fenced_.end() ? 0 : found->second;
}

void LoopbackTransport::land_late(const LateWrite& late) {
  if (closed_ || fences_of(late.writer) != late.fences ||
      !guard_allows(late.writer, late.page, late.generation, late.offset_bytes,
                    late.bytes.size())) {
    return;
  }
  std::memcpy(buffer_->page(late.page).data() + late.offset_bytes, late.bytes.data(),
              late.bytes.size());
  report_landing(
      {late.writer, self_, late.page, late.generation, late.offset_bytes, late.bytes.size(), true});
}

void LoopbackTransport::reject(const PeerId& peer, const std::string& what) {
  log::warning("loopback: peer {} tried {} outside its grants", peer.brief(), what);
  hub_.break_connection(peer, self_,
                        absl::PermissionDeniedError(what + " is outside the peer's grants"));
}

bool LoopbackTransport::land(const PeerId& writer, const WriteOp& op, std::size_t from,
                             std::size_t bytes) {
  if (!writers_.contains(writer)) {
    return false;
  }
  if (!may_move(writer, op, from, bytes)) {
    ++rejected_writes_;
    reject(writer, fmt::format("a write to page {} (generation {}, offset {}, {} bytes)", op.page,
                               op.generation, op.offset_bytes, op.local.size()));
    return false;
  }
  std::memcpy(buffer_->page(op.page).data() + op.offset_bytes + from, op.local.data() + from,
              bytes);
  report_landing({writer, self_, op.page, op.generation, op.offset_bytes + from, bytes, false});
  return true;
}

bool LoopbackTransport::land(const PeerId& reader, const ReadOp& op, std::size_t from,
                             std::size_t bytes) {
  if (!writers_.contains(reader) && !lingering_.contains(reader)) {
    return false;
  }
  if (!may_move(reader, op, from, bytes)) {
    ++rejected_reads_;
    reject(reader, fmt::format("a read of page {} (generation {}, offset {}, {} bytes)", op.page,
                               op.generation, op.offset_bytes, op.local.size()));
    return false;
  }
  std::memcpy(op.local.data() + from, buffer_->page(op.page).data() + op.offset_bytes + from,
              bytes);
  if (LoopbackConditions* conditions = hub_.conditions(); conditions != nullptr) {
    conditions->on_read({reader, self_, op.page, op.generation, op.offset_bytes + from, bytes,
                         lingering_.contains(reader)});
  }
  return true;
}

}  // namespace baton::transport
