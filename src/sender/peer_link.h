// One receiver, as a sender knows it: handshake, data connection, alloc channel.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "baton/status.h"
#include "src/base/lifetime.h"
#include "src/base/scheduler.h"
#include "src/control/control.h"
#include "src/sender/ahead_stock.h"
#include "src/sender/config.h"
#include "src/sender/resend_timer.h"
#include "src/sender/stock_link.h"
#include "src/sender/stock_query.h"
#include "src/sender/write_window.h"
#include "src/transport/transport.h"
#include "src/wire/messages.h"

namespace baton::sender {

/// Where a receiver listens.
struct Address {
  std::string init_endpoint;
  std::string alloc_endpoint;
  auto operator<=>(const Address&) const = default;
};

/// idle → handshaking → connecting → ready → idle. All methods on the loop.
///
/// Whoever needs the receiver calls ensure(); all who wait share one handshake. After a failure the
/// link is idle again, and the next ensure() starts anew.
class PeerLink {
 public:
  enum class State : std::uint8_t { kIdle, kHandshaking, kConnecting, kReady };
  using OnMessage = absl::AnyInvocable<void(PeerLink&, const wire::Message&)>;
  /// May this link lead to that receiver?
  using CheckReceiver = absl::AnyInvocable<Status(const PeerLink&, const Epoch& receiver) const>;
  /// A link that was ready is idle again; called after the fact.
  using OnDown = absl::AnyInvocable<void(PeerLink&, const Status& why)>;
  /// The requests that live at that receiver, for its heartbeat.
  using ListRequests = absl::AnyInvocable<std::vector<wire::AttemptName>(const PeerLink&) const>;
  struct Callbacks {
    CheckReceiver check_receiver;
    ListRequests list_requests;
    OnMessage on_message;
    OnDown on_down;
  };

  PeerLink(Scheduler& scheduler, control::Network& network,
           std::span<transport::Transport* const> transports, const Config& config, Address address,
           std::uint32_t& connections, Callbacks callbacks, transport::StockPlane* plane = nullptr);
  ~PeerLink();
  PeerLink(const PeerLink&) = delete;
  PeerLink& operator=(const PeerLink&) = delete;

  using Ready = absl::AnyInvocable<void(Status)>;
  /// Calls `ready` once the link is ready (perhaps inside this call), or with why it isn't.
  void ensure(Ready ready);

  State state() const { return state_; }
  const Address& address() const { return address_; }
  /// Valid while ready.
  const wire::Welcome& welcome() const { return welcome_; }
  wire::Parties parties() const { return {config_.epoch, welcome_.epoch}; }
  transport::Transport& transport() const { return *transport_; }
  /// What all puts to that receiver write through.
  WriteWindow& window() { return window_; }
  /// While ready: over whatever was agreed on.
  void write_batch(std::vector<transport::WriteOp> ops, transport::Done done);
  Status write_at_once(const std::vector<transport::WriteOp>& ops);
  /// Does it take their digests, too (Transport::digests_writes())?
  bool digests_writes() const;
  void read_batch(std::vector<transport::ReadOp> ops, transport::Done done);

  /// It leads, or led last, to an LMCache receiver: such a one is only asked, and told that
  /// requests have ended; send() fails, and what it "must learn" is nothing to it.
  bool is_stock() const { return is_stock_; }
  Status ask_stock(const wire::AllocRequest& request, TimePoint deadline, StockLink::Answer answer);
  /// For one read; the link outlives it.
  StatusOr<std::unique_ptr<StockQuery>> connect_query(const std::string& endpoint,
                                                      StockQuery::Answer answer);
  /// Nothing of the request is under way any more.
  void end_stock_request(const std::string& req_id, const Status& how);
  /// Counts how often the link became ready: tells one connection from the next.
  std::uint64_t session() const { return sessions_; }
  /// reset(), if that connection is still the one that is ready.
  void reset_session(std::uint64_t session, const Status& why) {
    if (state_ == State::kReady && session == sessions_) {
      reset(why);
    }
  }

  /// Connected to that receiver, or about to be.
  bool leads_to(const Epoch& receiver) const {
    return (state_ == State::kConnecting || state_ == State::kReady) && welcome_.epoch == receiver;
  }

  /// While ready; kUnavailable otherwise, or when the queue is full; kInvalidArgument if the
  /// message is longer than the receiver takes.
  Status send(const wire::Message& message);
  /// The receiver said this over the data connection.
  void on_lane_message(std::string_view payload);
  /// For what the receiver must learn, or lose the connection: then it ends what hangs on it.
  void send_or_reset(const wire::Message& message);
  /// The same, and it must be acknowledged within the drain timeout; until then it is repeated.
  void send_drain(wire::DrainNotif drained);
  void on_drain_ack(const wire::DrainAck& ack);
  /// Likewise: nothing of that read touches the receiver's pages any more.
  void send_read_release(std::uint64_t read_id);
  void on_read_release_ack(const wire::ReadReleaseAck& ack);
  // ---- pages ahead (peer_link_ahead.cc)
  // ----------------------------------------------------------
  /// Null where there are none: the receiver's memory is not mapped, or it grants none ahead.
  const std::shared_ptr<AheadStock>& ahead() const { return ahead_; }
  /// A request will take so many: while the wish lives, as many more are kept. The link outlives
  /// it.
  class AheadWish {
   public:
    AheadWish(PeerLink& link, std::uint32_t pages) : link_(link), pages_(pages) {}
    ~AheadWish() { link_.wish_less(pages_); }
    AheadWish(const AheadWish&) = delete;
    AheadWish& operator=(const AheadWish&) = delete;

   private:
    PeerLink& link_;
    const std::uint32_t pages_;
  };
  std::unique_ptr<AheadWish> wish_ahead(std::uint32_t pages);
  /// Once the receiver has answered what it was asked, or at once, in this call, if it was not; not
  /// at all if the link is lost before.
  void when_answered(Task task);
  /// Some were taken.
  void refill_ahead();
  void on_ahead_grant(const wire::AheadGrant& grant);
  void recall_ahead(const wire::DrainRequest& recall);

  /// The receiver takes a request again that it may have had already.
  bool may_repeat() const { return has_leases(welcome_.version); }

  /// The receiver is gone (or must be made so): to idle, data connection closed.
  void reset(const Status& why);

 private:
  void start_handshake();
  void send_hello();
  void send_hello_after(Duration delay);
  void on_init_payload(std::string_view payload);
  void on_refusal(const wire::Refusal& refusal);
  void on_welcome(wire::Welcome welcome);
  void on_connected(const Status& status);
  void on_alloc_payload(std::string_view payload);
  void finish(const Status& status);
  Status check_welcome(const wire::Welcome& welcome);
  void repeat_owed();
  Status begin_stock();
  void on_stock_message(const wire::Message& message);
  void on_stock_answer(const wire::Message& message);
  void start_ahead();
  void stop_ahead();
  void wish_less(std::uint32_t pages);
  /// As many as are kept for small puts; none where a chunk is too large for that.
  std::uint32_t pages_for_puts() const;
  std::uint32_t ahead_target() const { return pages_for_puts() + ahead_wished_; }
  void ask_ahead();
  void start_heartbeats();
  void beat();

  Scheduler& scheduler_;
  control::Network& network_;
  const std::vector<transport::Transport*> transports_;
  const Config& config_;
  const Address address_;
  Callbacks callbacks_;

  State state_ = State::kIdle;
  std::vector<Ready> waiting_;
  TimePoint deadline_{};
  TimerId timer_ = kNoTimer;
  TimerId retry_timer_ = kNoTimer;
  std::uint32_t& connections_;  // makes client identities unique
  /// A word that the receiver must acknowledge.
  struct Owed {
    std::variant<wire::DrainNotif, wire::ReadRelease> message;
    TimePoint deadline;
  };
  void owe(Owed word);
  void say(const Owed& word);
  std::deque<Owed> owed_;  // not acknowledged yet, oldest first
  std::uint64_t last_drain_ = 0;
  TimerId owed_timer_ = kNoTimer;
  std::uint64_t sessions_ = 0;
  Duration beat_period_{};
  std::uint64_t beats_ = 0;
  TimePoint heard_{};  // when the receiver last spoke
  TimerId beat_timer_ = kNoTimer;
  std::unique_ptr<control::Client> init_;
  std::unique_ptr<control::Client> alloc_;
  wire::Welcome welcome_;
  std::shared_ptr<AheadStock> ahead_;  // of this session
  std::uint32_t ahead_wished_ = 0;     // by open requests
  wire::AheadRequest ahead_question_;
  bool ahead_asked_ = false;  // and not answered
  /// Until then the receiver is not asked again: it had fewer than were wanted.
  TimePoint ahead_pause_{};
  std::vector<Task> ahead_waiting_;
  ResendTimer ahead_resend_;
  transport::Transport* transport_ = nullptr;
  bool uses_lane_ = false;              // while ready: messages go over the data connection
  transport::StockPlane* const plane_;  // null: LMCache's receivers are refused
  bool is_stock_ = false;
  static constexpr std::size_t kMaxBytesUnderWay = std::size_t{32} << 20U;
  WriteWindow window_{kMaxBytesUnderWay};
  /// Of the current attempt: what a former one has left in queues must not run.
  std::unique_ptr<Lifetime> attempt_;
  std::unique_ptr<StockLink> stock_;  // until the receiver turns out to be Baton's
};

}  // namespace baton::sender
