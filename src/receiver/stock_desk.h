// Serves LMCache's own senders: hands out pages, and lets the decoder's word stand for the commit
// that they never send. docs/interop.md has every state and why.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "baton/status.h"
#include "src/base/lifetime.h"
#include "src/base/scheduler.h"
#include "src/control/control.h"
#include "src/receiver/config.h"
#include "src/receiver/request_table.h"
#include "src/receiver/stock_peers.h"
#include "src/transport/stock_plane.h"
#include "src/wire/messages.h"

namespace baton::receiver {

/// Each AllocRequest is a batch: a request of its own in the table, whose sender is the party that
/// can write its pages. All methods on the loop.
class StockDesk {
 public:
  using BatchId = std::uint64_t;

  StockDesk(Scheduler& scheduler, RequestTable& table, const Config& config, const Epoch& receiver,
            transport::StockPlane& plane);

  StockPeers& peers() { return peers_; }

  // ---- what peers say ------------------------------------------------------------------------
  /// Always an answer; `why` says what was refused.
  wire::AllocResponse allocate(const control::Route& from, const wire::AllocRequest& message,
                               Status& why);
  wire::AllocResponse cancel(const control::Route& from, const wire::CancelNotif& message,
                             Status& why);

  // ---- what the decoder says -----------------------------------------------------------------
  /// A page of it is granted to a stock peer.
  bool is_granted(std::string_view key) const;
  /// The decoder asks for the chunk: the proxy has released it, so it is committed.
  void vouch(const std::string& key);
  /// Vouches for it and takes it out of its oldest batch. Adds that batch to `done` if nothing of
  /// it is left to be taken, copies neither: to be passed to end() once the chunks are handed out.
  void take(const std::string& key, std::vector<BatchId>& done);
  void end(const std::vector<BatchId>& done);
  /// The async flavour's request: all its keys are taken, and its copies are free, for this is its
  /// own release. False if there is no such.
  bool take_request(const std::string& req_id, std::vector<BatchId>& done);
  /// Every one of them is here, and of a batch or committed; at least one is of a batch.
  bool has_all(const std::vector<std::string>& keys) const;
  bool cancel_request(const std::string& req_id, const Status& why);

  // ---- time ----------------------------------------------------------------------------------
  /// At the sweep's pace: forgets what the table has ended, and fences who keeps pages that are
  /// missed.
  void sweep(const std::map<Epoch, std::uint32_t>& quarantined);
  bool is_idle() const { return batches_.empty() && peers_.size() == 0; }

 private:
  struct Batch {
    RequestId id;
    std::string req_id;                        ///< the peer's; empty: it said none
    absl::flat_hash_set<std::string> keys;     ///< not taken yet
    absl::flat_hash_set<std::string> granted;  ///< of these, not committed yet
    std::vector<std::uint32_t> copies;         ///< which of the put's keys are thrown away
  };
  using Batches = std::map<BatchId, Batch>;

  StatusOr<wire::AllocResponse> admit(const control::Route& from,
                                      const wire::AllocRequest& message);
  Status check(const wire::AllocRequest& message);
  void commit(BatchId number, Batch& batch, const std::string& key);
  void throw_copies_away(BatchId number, Batch& batch);
  void forget(Batches::iterator batch);
  void prune();
  bool end_batches(const std::string& req_id, const Epoch* party, const Status& why);
  void on_fenced(const Epoch& party);

  RequestTable& table_;
  const Config& config_;
  const Epoch receiver_;
  StockPeers peers_;
  Batches batches_;
  absl::flat_hash_map<std::string, std::vector<BatchId>> by_key_;  // oldest first
  BatchId last_batch_ = 0;
  KeyBatch keys_;              // of the message that is being handled
  bool missed_pages_ = false;  // since the last sweep a batch found no room that could fit
};

}  // namespace baton::receiver
