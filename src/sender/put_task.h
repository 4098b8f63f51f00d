// One put: the state machine from its submission to its last callback.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "baton/memory_obj.h"
#include "baton/put_handle.h"
#include "baton/status.h"
#include "src/base/digest_queue.h"
#include "src/base/lifetime.h"
#include "src/base/scheduler.h"
#include "src/sender/config.h"
#include "src/sender/peer_link.h"
#include "src/sender/put_state.h"
#include "src/sender/resend_timer.h"
#include "src/wire/messages.h"

namespace baton::sender {

/// Called once per key after the put has ended and its references are given back.
using KeyDone = absl::AnyInvocable<void(const std::string& key, const Status& status)>;

/// What a caller submits. `objects[i]` holds the chunk of `keys[i]`.
struct PutSpec {
  std::string req_id;
  std::uint64_t attempt = 0;
  wire::KeyList keys;
  std::vector<MemoryObj> objects;
  std::uint32_t last_chunk_toks = 0;
  bool is_last = false;
  std::uint32_t total_chunks = 0;
  Duration timeout{};
  KeyDone on_key_done;
};

/// queued → connecting → allocating → writing → committing → awaiting others → settled → done;
/// from every state before the end: → draining → failed, or → restarting → connecting, for the
/// receiver's next incarnation. docs/protocol.md, "Puts at the sender",
/// says why for each transition. All methods on the loop.
class PutTask {
 public:
  enum class State : std::uint8_t {
    kConnecting,  ///< queued, and waiting for the link
    kFilling,     ///< pages ahead are being written, nothing was asked for yet
    kAllocating,  ///< AllocRequest sent
    kWriting,     ///< granted chunks are being written, and committed as slices land
    kCommitting,  ///< all written, not all acknowledged
    kAwaiting,    ///< left-out chunks are still in flight from other puts
    kSettled,     ///< every chunk is committed; the request decides when it is done
    kRestarting,  ///< the receiver is gone: waits until nothing touches the local pages, to begin
                  ///< anew
    kDraining,    ///< failed: waits until nothing touches the local pages
    kEnded,
  };

  /// The owner's half.
  class Owner {
   public:
    virtual ~Owner() = default;
    /// May it ask for pages now? If not, the owner calls nudge() when it may.
    virtual bool may_allocate(const PutTask& put) const = 0;
    /// The incarnation of the receiver that the link leads to now is asked for pages.
    virtual void on_put_allocating(PutTask& put) = 0;
    /// The receiver has answered that.
    virtual void on_put_allocated(PutTask& put) = 0;
    /// Every chunk is committed. The owner calls complete() when the request agrees.
    virtual void on_put_settled(PutTask& put) = 0;
    /// The put begins to fail. Called once, before it drains.
    virtual void on_put_failed(PutTask& put, const Status& why) = 0;
    /// Last call: the owner may destroy the put in a later turn.
    virtual void on_put_ended(PutTask& put) = 0;
  };

  PutTask(Scheduler& scheduler, DigestQueue& digests, const Config& config, FaultHooks& faults,
          Owner& owner, PeerLink& link, std::uint64_t id, PutSpec spec,
          std::shared_ptr<detail::PutState> state);
  ~PutTask();

  void start();
  void on_response(const wire::AllocResponse& response);
  void on_response(const wire::CommitResponse& response);
  void on_update(const wire::ChunkUpdate& update);
  /// It may ask for pages now. Nothing happens unless it waits for that.
  void nudge();
  /// Settled → done.
  void complete();
  /// Any state before the end → draining → failed. Idempotent.
  void fail(const Status& why);
  /// The link went down, for the reason given: begins anew with the receiver's next incarnation.
  void restart(const Status& why);

  std::uint64_t id() const { return id_; }
  State state() const { return state_; }
  const PutSpec& spec() const { return spec_; }
  PeerLink& link() const { return link_; }
  TimePoint deadline() const { return deadline_; }

 private:
  /// A granted page of one of the keys.
  struct Grant {
    std::uint32_t key_index;
    std::uint32_t page;
    std::uint64_t generation;
    bool committed = false;
    bool is_there = false;  ///< the chunk lies in it already
  };
  /// A page ahead that one of the chunks lies in.
  struct Place {
    AheadStock::Page page;
    bool is_lent = false;   ///< as a MemoryObj of the caller's; otherwise it was filled by this put
    bool is_spent = false;  ///< committed
  };
  /// Grants that are written in one batch and committed together.
  struct Slice {
    std::vector<std::size_t> grants;  // indexes into grants_
    /// By grant; null where the receiver wants none. Shared with what is under way: a transport
    /// sets some of them until its `done`.
    std::shared_ptr<std::vector<std::uint64_t>> digests;
    std::size_t steps_left = 0;  // its write, and each digest that the transport doesn't take
    std::size_t bytes = 0;
    Status write_status;
    bool sent = false;  // its CommitRequest
    bool acknowledged = false;
  };

  void begin();
  void on_ready(const Status& status);
  void allocate();
  void ask_stock();
  void on_stock_answer(const wire::AllocResponse& response);
  wire::AllocRequest alloc_request() const;
  void ask();
  Status find_places();
  bool fill_places();
  void on_filled(const Status& status);
  std::optional<wire::AllocRequest::Ahead> ahead_part() const;
  void spend_place(std::uint32_t index);
  void leave_places(bool has_failed);
  bool drains_after(const Status& write_status);
  bool may_be_eager() const;
  wire::AllocRequest::Eager eager_part() const;
  Status take_placed(std::uint32_t index);
  Status check_response(const wire::AllocResponse& response) const;
  Status take_news(std::uint32_t index, wire::KeyState state, std::uint32_t page,
                   std::uint64_t generation);
  void on_news(const Status& taken);
  void repeat();
  std::size_t next_slice_bytes() const;
  void pump();
  void start_slice(std::vector<std::size_t> grants, std::size_t bytes);
  void take_digest(std::uint32_t number, std::size_t index);
  void on_slice_step(std::uint32_t number);
  void on_slices_idle();
  void commit_slice(std::uint32_t number);
  wire::CommitRequest commit_request(std::uint32_t number) const;
  void update_state();
  void finish_drain();
  void end(const Status& status);
  std::span<const std::byte> bytes_of(const Grant& grant) const;

  Scheduler& scheduler_;
  DigestQueue& digests_;
  const Config& config_;
  FaultHooks& faults_;
  Owner& owner_;
  PeerLink& link_;
  const std::uint64_t id_;
  PutSpec spec_;
  const std::shared_ptr<detail::PutState> handle_;
  const TimePoint submitted_;
  const TimePoint deadline_;

  State state_ = State::kConnecting;
  Status failure_;
  Status link_down_;  // why it restarted
  /// As of the AllocRequest: grants are worth nothing to another epoch.
  std::optional<wire::Parties> parties_;
  std::uint64_t session_ = 0;                 // of the link, likewise
  bool held_back_ = false;                    // connecting: the owner has said "not yet"
  bool eager_ = false;                        // the AllocRequest brings the chunks along
  std::shared_ptr<AheadStock> stock_;         // that the places are of
  std::vector<std::optional<Place>> places_;  // one a key, or none
  /// Of the chunks that are in their places, or null. Shared as a slice's.
  std::shared_ptr<std::vector<std::uint64_t>> place_digests_;
  ResendTimer resend_;
  TimerId deadline_timer_ = kNoTimer;
  TimerId drain_timer_ = kNoTimer;
  std::vector<Grant> grants_;
  std::size_t next_grant_ = 0;   // first one that is in no slice yet
  std::size_t bytes_left_ = 0;   // of those that are in none
  std::size_t bytes_begun_ = 0;  // of those that are in one
  std::deque<Slice> slices_;     // all of them, by number
  bool waits_for_window_ = false;
  std::size_t slices_busy_ = 0;  // writing or being digested; and pages ahead being filled
  std::size_t slices_open_ = 0;  // not acknowledged yet
  /// What the receiver has said of each key.
  struct News {
    bool awaited = true;               // nothing final
    std::optional<std::size_t> grant;  // index into grants_
  };
  std::vector<News> news_;
  std::size_t awaited_ = 0;  // how many keys are
  PutStats stats_;
  Lifetime lifetime_;
};

}  // namespace baton::sender
