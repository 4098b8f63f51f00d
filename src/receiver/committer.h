// From a sender's "the bytes are there" to a verified, visible chunk.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <memory>

#include "src/base/digest_queue.h"
#include "src/base/lifetime.h"
#include "src/receiver/config.h"
#include "src/receiver/request_table.h"
#include "src/wire/messages.h"

namespace baton::receiver {

/// Checks the digests of a slice of pages, then commits all of them or none. On the loop.
class Committer {
 public:
  Committer(Scheduler& scheduler, RequestTable& table, const Config& config, FaultHooks& faults)
      : digests_(scheduler), table_(table), config_(config), faults_(faults) {}

  using Answer = absl::AnyInvocable<void(wire::CommitResponse)>;
  /// `answer` is called once, perhaps inside this call; not at all for a commit that is being
  /// checked already.
  void commit(const wire::CommitRequest& message, Answer answer);

 private:
  struct Slice {
    wire::CommitRequest message;
    Answer answer;
    std::size_t next = 0;
  };

  void verify_next(const std::shared_ptr<Slice>& slice);
  void on_digest(const std::shared_ptr<Slice>& slice, std::uint64_t digest);
  void finish(Slice& slice, const Status& status);

  DigestQueue digests_;
  RequestTable& table_;
  const Config& config_;
  FaultHooks& faults_;
  Lifetime lifetime_;
};

}  // namespace baton::receiver
