// Reading what was committed here: Receiver's half that serves readers.
#include <fmt/format.h>

#include <utility>

#include "src/receiver/receiver.h"
#include "src/wire/status_text.h"

namespace baton::receiver {
namespace {

Status without_reads() {
  return absl::InvalidArgumentError(
      std::string("a word on reads, of a peer that agreed on a version without them"));
}

}  // namespace

void Receiver::handle(const control::Route& from, const wire::ReadRequest& message) {
  const Status fine = check_parties(from, message.parties);
  if (fine.ok() && !has_reads(peers_.at(message.parties.sender_epoch).version)) {
    strike(from, "alloc port", without_reads());
    return;
  }
  auto result = fine.ok() ? reads_.begin(message) : StatusOr<wire::ReadResponse>(fine);
  wire::ReadResponse response;
  if (result.ok()) {
    response = *std::move(result);
  } else {
    response.read_id = message.read_id;
    response.code = static_cast<std::uint32_t>(result.status().code());
    response.message = wire::status_text(result.status());
  }
  answer(from, std::move(response));  // If it is lost, the reader asks again, or is reminded.
}

void Receiver::handle(const control::Route& from, const wire::ReadRelease& message) {
  const Status fine = check_parties(from, message.parties);
  if (fine.ok() && !has_reads(peers_.at(message.parties.sender_epoch).version)) {
    strike(from, "alloc port", without_reads());
    return;
  }
  if (fine.ok()) {
    reads_.end(message.parties.sender_epoch, message.read_id);
  }
  answer(from, wire::ReadReleaseAck{message.read_id, static_cast<std::uint32_t>(fine.code()),
                                    wire::status_text(fine)});
}

void Receiver::ask_for_releases() {
  for (Reads::Overdue& overdue : reads_.find_overdue()) {
    const auto peer = peers_.find(overdue.reader);
    if (peer == peers_.end() || peer->second.fencing) {
      continue;
    }
    if (overdue.is_last_word) {
      on_writer_gone(overdue.reader,
                     absl::DeadlineExceededError(std::string("it did not release a read in time")));
    } else if (!peer->second.route.empty()) {
      // It may never have heard of the holds: it releases what it doesn't know.
      answer(peer->second.route, std::move(overdue.answer));
    }
  }
}

std::vector<Receiver::CommittedPage> Receiver::query_committed(const wire::KeyList& keys,
                                                               Duration lease) {
  std::vector<CommittedPage> found;
  const TimePoint expiry = env_.scheduler.now() + lease;
  const bool somebody_waits = table_.somebody_waits();
  for (const std::string_view text : keys) {
    const std::string key(text);
    if (const Chunk* chunk = claims_.extend_pin(key, expiry, somebody_waits); chunk != nullptr) {
      found.push_back({key, chunk->page});
    }
  }
  return found;
}

bool Receiver::may_read(const Epoch& reader, std::uint32_t page, std::uint64_t generation,
                        std::uint64_t offset_bytes, std::uint64_t length_bytes) const {
  return reads_.may_read(reader, page, generation, offset_bytes, length_bytes);
}

}  // namespace baton::receiver
