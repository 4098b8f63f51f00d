#include "src/receiver/committer.h"

#include <fmt/format.h>

#include <utility>

#include "src/base/log.h"
#include "src/wire/status_text.h"

namespace baton::receiver {
namespace {

Writer writer_of(const wire::CommitRequest& message) {
  return {message.parties.sender_epoch, message.put_id};
}

}  // namespace

void Committer::commit(const wire::CommitRequest& message, Answer answer) {
  auto slice = std::make_shared<Slice>(Slice{message, std::move(answer)});
  const auto chunks = table_.find_grants(writer_of(message), message.pages, message.generations);
  if (!chunks.ok()) {
    finish(*slice, chunks.status());
    return;
  }
  if (chunks->empty()) {
    finish(*slice, absl::OkStatus());  // Said again: it was committed before.
    return;
  }
  if (config_.integrity != Integrity::kOff && message.digests.size() != message.pages.size()) {
    finish(*slice, absl::InvalidArgumentError(fmt::format("put {} commits {} pages with {} digests",
                                                          message.put_id, message.pages.size(),
                                                          message.digests.size())));
    return;
  }
  for (const Chunk* chunk : *chunks) {
    if (chunk->verifying) {
      return;  // The same commit, come twice: the first one is answered.
    }
  }
  for (Chunk* chunk : *chunks) {
    chunk->verifying = true;
  }
  if (faults_.before_verify) {
    for (const Chunk* chunk : *chunks) {
      faults_.before_verify(table_.pool().bytes_of(*chunk));
    }
  }
  verify_next(slice);
}

void Committer::verify_next(const std::shared_ptr<Slice>& slice) {
  const wire::CommitRequest& message = slice->message;
  if (config_.integrity == Integrity::kOff || slice->next == message.pages.size()) {
    finish(*slice, absl::OkStatus());
    return;
  }
  // The grant may be gone since the last page: its request ended.
  const Chunk* chunk = table_.pool().granted_to(writer_of(message), message.pages[slice->next],
                                                message.generations[slice->next]);
  if (chunk == nullptr) {
    finish(*slice, absl::AbortedError(fmt::format("put {} lost its grant of page {} while it was "
                                                  "verified",
                                                  message.put_id, message.pages[slice->next])));
    return;
  }
  digests_.add(table_.pool().bytes_of(*chunk),
               lifetime_.guard([this, slice](std::uint64_t digest) { on_digest(slice, digest); }));
}

void Committer::on_digest(const std::shared_ptr<Slice>& slice, std::uint64_t digest) {
  const wire::CommitRequest& message = slice->message;
  const std::size_t index = slice->next++;
  if (digest != message.digests[index]) {
    finish(*slice, absl::DataLossError(fmt::format(
                       "the bytes of page {} differ from what was sent: digest {:016x}, expected "
                       "{:016x}",
                       message.pages[index], digest, message.digests[index])));
    return;
  }
  verify_next(slice);
}

void Committer::finish(Slice& slice, const Status& status) {
  const wire::CommitRequest& message = slice.message;
  Status result = status;
  for (std::size_t i = 0; i < message.pages.size(); ++i) {
    if (Chunk* chunk =
            table_.pool().granted_to(writer_of(message), message.pages[i], message.generations[i]);
        chunk != nullptr) {
      chunk->verifying = false;
    }
  }
  if (result.ok()) {
    const Writer writer = writer_of(message);
    const auto chunks = table_.find_grants(writer, message.pages, message.generations);
    if (!chunks.ok()) {
      result = chunks.status();
    } else {
      for (std::size_t i = 0; i < chunks->size() && !message.digests.empty(); ++i) {
        (*chunks)[i]->digest = message.digests[i];
      }
      table_.commit(writer, *chunks);
      for (const Chunk* chunk : *chunks) {
        if (faults_.after_commit) {
          faults_.after_commit(table_.pool().bytes_of(*chunk));
        }
      }
    }
  }
  if (!result.ok()) {
    log::warning("put {} of {}: commit refused: {}", message.put_id,
                 message.parties.sender_epoch.brief(), std::string(result.message()));
  }
  slice.answer({message.put_id, message.slice, static_cast<std::uint32_t>(result.code()),
                wire::status_text(result)});
}

}  // namespace baton::receiver
