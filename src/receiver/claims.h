// Reading what was committed: claims of whole requests, single chunks, pins.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "baton/claim.h"
#include "baton/status.h"
#include "src/base/digest_queue.h"
#include "src/base/lifetime.h"
#include "src/base/loop_ref.h"
#include "src/receiver/config.h"
#include "src/receiver/request_table.h"

namespace baton::receiver {

/// All methods on the loop; every callback in a turn of its own, exactly once.
class Claims {
 public:
  Claims(Scheduler& scheduler, RequestTable& table, const Config& config,
         std::shared_ptr<RegisteredBuffer> buffer, std::shared_ptr<LoopRef> loop);

  using ClaimDone = absl::AnyInvocable<void(StatusOr<Claim>)>;
  /// All chunks of `keys`, in their order, once the request is complete; then ends the request's
  /// own holds. kNotFound if a key is not of the request, kAborted if the request ended,
  /// kDeadlineExceeded, kDataLoss (paranoid: a digest differs; the chunk is condemned).
  void claim(std::string req_id, std::vector<std::string> keys, TimePoint deadline, ClaimDone done);

  /// The same for chunks that are of no request known here: all that is there now. kNotFound if one
  /// is not.
  void claim_chunks(std::vector<std::string> keys, TimePoint deadline, ClaimDone done) {
    claim({}, std::move(keys), deadline, std::move(done));
  }

  using GetDone = absl::AnyInvocable<void(StatusOr<MemoryObj>)>;
  /// One committed chunk, waiting while it is in flight. kNotFound if it is neither.
  void get(std::string key, TimePoint deadline, GetDone done);

  /// Keeps a committed chunk until unpin() or expiry. False if it isn't there, or is retained while
  /// every page is promised. Pins of one key add up, each with its own expiry; unpin() ends the
  /// oldest.
  bool pin(const std::string& key, TimePoint expiry);
  bool unpin(const std::string& key);
  /// The same as one pin, shared by all who ask by this: it lasts as long as any of them wants.
  /// nullptr if the chunk isn't there, or `somebody_waits` for pages and only readers hold it,
  /// this pin included: it is not extended then. Not for unpin().
  const Chunk* extend_pin(const std::string& key, TimePoint expiry, bool somebody_waits);

  /// Looks again at everything that waits. Called after each settled change.
  void recheck();
  /// Claims and gets that wait.
  std::size_t pending() const { return pending_.size(); }
  /// Fails all that waits.
  void close(const Status& why);

 private:
  struct Pending {
    std::uint64_t id = 0;
    std::string req_id;             // empty: a get
    std::vector<std::string> keys;  // a get has one
    TimerId timer = kNoTimer;
    bool verifying = false;
    std::optional<RequestId> request;  // the one it ends; known once it is found
    ClaimDone done;
  };
  using PendingList = std::list<Pending>;
  struct Hold;  // what the user's MemoryObjs share

  void add(Pending pending, TimePoint deadline);
  /// nullopt: keep waiting.
  std::optional<StatusOr<std::vector<Chunk*>>> look_up(Pending& pending);
  void try_finish(PendingList::iterator pending);
  void verify(std::uint64_t id, std::shared_ptr<Hold> hold, std::size_t next);
  void finish(std::uint64_t id, StatusOr<Claim> result);
  std::shared_ptr<Hold> take_hold(const std::vector<Chunk*>& chunks);
  static Claim make_claim(const std::shared_ptr<Hold>& hold);
  PendingList::iterator find(std::uint64_t id);

  struct Pin {
    std::uint64_t id;
    Chunk* chunk;
    TimerId timer;
    TimePoint expiry;
    bool is_shared;
  };
  bool add_pin(const std::string& key, TimePoint expiry, bool is_shared);
  void end_pin(const std::string& key, std::uint64_t id);

  Scheduler& scheduler_;
  RequestTable& table_;
  const Config& config_;
  const std::shared_ptr<RegisteredBuffer> buffer_;
  const std::shared_ptr<LoopRef> loop_;
  DigestQueue digests_;
  PendingList pending_;
  std::uint64_t next_id_ = 1;  // of pending claims and of pins
  absl::flat_hash_map<std::string, std::vector<Pin>> pins_;
  Lifetime lifetime_;
};

}  // namespace baton::receiver
