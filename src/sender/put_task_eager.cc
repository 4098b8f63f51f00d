// A small put, whose bytes go along with its request for pages: PutTask's half that saves round
// trips. docs/protocol.md, "Eager puts".
#include <fmt/format.h>

#include <utility>

#include "src/base/digest.h"
#include "src/base/protocol_version.h"
#include "src/sender/put_task.h"

namespace baton::sender {
namespace {

/// What an AllocRequest has besides keys and bytes, at most: names, a shape, epochs, a req_id.
constexpr std::size_t kMessageOverheadBytes = 4096;
/// And for each key: its length, its digest.
constexpr std::size_t kKeyOverheadBytes = 16;

}  // namespace

bool PutTask::may_be_eager() const {
  if (config_.eager_bytes == 0 || link_.is_stock() || !has_eager_puts(link_.welcome().version) ||
      faults_.drop_write) {
    return false;
  }
  std::size_t chunk_bytes = 0;
  std::size_t message_bytes = kMessageOverheadBytes;
  for (std::size_t i = 0; i < spec_.keys.size(); ++i) {
    chunk_bytes += spec_.objects[i].bytes().size();
    message_bytes += spec_.keys[i].size() + kKeyOverheadBytes;
    if (chunk_bytes > config_.eager_bytes) {
      return false;
    }
  }
  return message_bytes + chunk_bytes <= link_.welcome().max_message_bytes;
}

wire::AllocRequest::Eager PutTask::eager_part() const {
  wire::AllocRequest::Eager eager;
  const bool with_digests = link_.welcome().digests;
  for (const MemoryObj& object : spec_.objects) {
    const std::span<const std::byte> bytes = object.bytes();
    if (with_digests) {
      eager.digests.push_back(digest_of(bytes));
    }
    eager.bytes.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  return eager;
}

Status PutTask::take_placed(std::uint32_t index) {
  if (!places_.empty() && places_[index].has_value()) {
    ++stats_.chunks_sent;
    spend_place(index);
    return absl::OkStatus();
  }
  if (!eager_) {
    return absl::DataLossError(fmt::format(
        "the receiver has placed key {} of put {}, whose bytes it was not sent", index, id_));
  }
  ++stats_.chunks_sent;
  stats_.bytes_written += spec_.objects[index].bytes().size();
  stats_.bytes_eager += spec_.objects[index].bytes().size();
  return absl::OkStatus();
}

}  // namespace baton::sender
