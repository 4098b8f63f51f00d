// The prefiller's side: opens requests, runs puts, tells the proxy.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "baton/status.h"
#include "src/base/digest_queue.h"
#include "src/base/lifetime.h"
#include "src/base/scheduler.h"
#include "src/control/control.h"
#include "src/memory/staging_pool.h"
#include "src/sender/config.h"
#include "src/sender/notifier.h"
#include "src/sender/peer_link.h"
#include "src/sender/put_task.h"
#include "src/sender/read_task.h"
#include "src/transport/transport.h"

namespace baton::sender {

/// What a Sender stands on; all of it outlives the Sender.
struct Environment {
  Scheduler& scheduler;
  control::Network& network;
  std::vector<transport::Transport*> transports;  ///< in order of preference
  std::shared_ptr<StagingPool> staging;
  transport::StockPlane* stock = nullptr;  ///< null: LMCache's own receivers are refused
};

/// An attempt of a request at one receiver.
struct RequestKey {
  std::string req_id;
  std::uint64_t attempt = 0;
  auto operator<=>(const RequestKey&) const = default;
};

struct OpenSpec {
  Address receiver;
  RequestKey key;
  wire::KeyList keys;              ///< all distinct keys, or empty
  std::uint32_t total_chunks = 0;  ///< counts where keys is empty
  Duration timeout{};
  bool in_place = false;  ///< RequestSpec::in_place
};

/// All methods on the loop; callbacks in turns of their own.
class Sender final : private PutTask::Owner,
                     private ReadTask::Owner,
                     private transport::TransportObserver {
 public:
  static StatusOr<std::unique_ptr<Sender>> create(Environment environment, Config config,
                                                  FaultHooks faults = {});
  ~Sender() override;

  using Opened = absl::AnyInvocable<void(StatusOr<std::shared_ptr<StagingReservation>>)>;
  /// Receiver's pages first, then staging, whole or not at all. `opened` exactly once.
  void open(OpenSpec spec, Opened opened);
  /// Gives an open request back, unless its last put was submitted.
  void release(const RequestKey& key);
  /// The same as a task that may outlive the sender, and then does nothing.
  Task release_task(const RequestKey& key);

  /// Starts a put. Its end is told through `state` and the spec's callback.
  void submit(const Address& receiver, PutSpec spec, std::shared_ptr<detail::PutState> state);

  /// Starts a read. Its end is told through `state` and the spec's callback.
  void submit_read(const Address& receiver, ReadSpec spec,
                   std::shared_ptr<detail::ReadState> state);

  /// Fails all attempts of that name, and all reads. False if there is none.
  bool cancel(const std::string& req_id, const Status& why);

  /// Fails everything, and refuses what comes later. `idle` is called once, in a later turn, when
  /// nothing is under way any more and every callback has run.
  void close(Task idle);

  struct Stats {
    std::uint64_t requests = 0;
    std::uint64_t puts = 0;
    std::uint64_t reads = 0;
    std::uint64_t links = 0;
  };
  Stats stats() const { return {requests_.size(), puts_.size(), reads_.size(), links_.size()}; }
  /// Of the links that are ready; sorted, each once.
  std::vector<std::string> transports_in_use() const;

  /// The transports' observer, until somebody who hears for two halves stands between.
  transport::TransportObserver& observer() { return *this; }

 private:
  /// connecting → admitting → staging → open → (last put) sealed → notifying → gone; from anywhere:
  /// failed, which lasts until its puts have ended.
  struct Request {
    enum class Phase : std::uint8_t {
      kConnecting,
      kAdmitting,
      kStaging,
      kOpen,
      kSealed,
      kNotifying
    };
    Phase phase = Phase::kOpen;
    PeerLink* link = nullptr;
    std::uint64_t proxy_incarnation = 0;
    std::optional<Epoch> opened_at;  ///< the incarnation that was asked for its pages
    std::optional<Epoch> known_at;   ///< the one that has answered, and knows the request
    std::uint32_t total_chunks = 0;  ///< as opened; 0: not opened
    bool has_completed = false;      ///< a put has ended, and its objects went back
    Status failure;
    bool abandoned = false;      ///< its handle is gone: released once nothing is under way
    std::vector<PutTask*> puts;  ///< not ended
    OpenSpec spec;               ///< while it is being opened
    Opened opened;
    TimePoint open_deadline{};
    StagingPool::WaiterId staging_waiter = 0;
    std::unique_ptr<ResendTimer> resend;  ///< while it is admitted
    std::unique_ptr<PeerLink::AheadWish> wish;
    TimerId timer = kNoTimer;  ///< of opening, or of idleness
    Notifier::NoticeId notice = 0;
  };
  using Requests = std::map<RequestKey, Request>;

  Sender(Environment environment, Config config, FaultHooks faults);

  PeerLink& link_to(const Address& address);
  /// kFailedPrecondition if another link leads to that receiver already, or it is this process.
  Status check_sole_link(const PeerLink& link, const Epoch& receiver) const;
  void on_message(PeerLink& link, const wire::Message& message);
  void on_link_down(PeerLink& link, const Status& why);

  void connect_for(const RequestKey& key);
  void ask_admission(const RequestKey& key);
  Status send_open(const RequestKey& key, const Request& request);
  void on_open_response(PeerLink& link, const wire::OpenResponse& response);
  void reserve_staging(const RequestKey& key);
  void fail_open(const RequestKey& key, const Status& why);

  StatusOr<Request*> find_or_begin(const Address& receiver, const PutSpec& spec);
  void restart_idle_timer(const RequestKey& key, Request& request);
  void fail_request(const RequestKey& key, const Status& why);
  void remember_failure(const RequestKey& key, const Status& why);
  static Status failed_before(const RequestKey& key, const Status& why);
  /// The receiver is gone: begins anew with its next incarnation. False if something of the
  /// request has ended, and can't be put again.
  bool restart(const RequestKey& key, Request& request, const Status& why);
  std::vector<wire::AttemptName> list_requests(const PeerLink& link) const;
  /// An answer's code: kUnavailable means that whoever answers does not know this sender (any
  /// more), or is another incarnation. Then the link goes down, and true is returned.
  static bool ends_link(PeerLink& link, std::uint32_t code, const std::string& message);
  void on_heartbeat_ack(const PeerLink& link, const wire::HeartbeatAck& ack);
  void on_drain_request(PeerLink& link, const wire::DrainRequest& request);
  void on_end_notif(const PeerLink& link, const wire::EndNotif& notif);
  void tell_cancel(const RequestKey& key, const Request& request, const Status& why);
  void tell_proxy(const RequestKey& key, const Request& request, const Status& why);
  void advance(const RequestKey& key);
  void tell_if_idle();
  void notify(const RequestKey& key, Request& request);
  void on_notified(const RequestKey& key, const Status& status);
  /// Grants for a put that has ended: nothing was written, they go back at once.
  static void drain_late(PeerLink& link, const wire::AllocResponse& response);
  static void drain_late(PeerLink& link, const wire::ChunkUpdate& update);
  static void add_late(const PeerLink& link, wire::DrainNotif& drained, std::uint32_t page,
                       std::uint64_t generation);
  static void send_late(PeerLink& link, wire::DrainNotif drained);
  void on_read_response(PeerLink& link, const wire::ReadResponse& response);
  /// Those that `concerns` is true for; false if there is none.
  template <typename Condition>
  bool fail_reads(const Status& why, Condition concerns);
  bool fail_reads_of(const std::string& req_id, const Status& why);
  void fail_reads_over(const PeerLink& link, const Status& why);
  void fail_all_reads(const Status& why);
  template <typename Response>
  void dispatch(PeerLink& link, std::uint64_t put_id, const Response& response);

  // PutTask::Owner
  bool may_allocate(const PutTask& put) const override;
  void on_put_allocating(PutTask& put) override;
  void on_put_allocated(PutTask& put) override;
  void on_put_settled(PutTask& put) override;
  void on_put_failed(PutTask& put, const Status& why) override;
  void on_put_ended(PutTask& put) override;
  // ReadTask::Owner
  void on_read_ended(ReadTask& read) override;
  // TransportObserver
  void on_writer_connected(const Epoch& peer) override;
  void on_writer_gone(const Epoch& peer, const Status& why) override;
  void on_receiver_gone(const Epoch& peer, const Status& why) override;
  void on_receiver_says(const Epoch& peer, std::string_view message) override;

  Environment env_;
  const Config config_;
  FaultHooks faults_;
  DigestQueue digests_;
  std::unique_ptr<Notifier> notifier_;
  std::map<Address, std::unique_ptr<PeerLink>> links_;
  Requests requests_;
  /// Attempts that have failed (bounded memory): a later put must not bring one back without its
  /// earlier chunks.
  std::map<RequestKey, Status> failed_;
  std::deque<RequestKey> failed_order_;
  absl::flat_hash_map<std::uint64_t, std::unique_ptr<PutTask>> puts_;
  std::uint64_t next_put_id_ = 1;
  std::map<std::uint64_t, std::unique_ptr<ReadTask>> reads_;  // ordered: runs must be repeatable
  std::uint64_t next_read_id_ = 1;
  std::uint32_t connections_ = 0;  // of all links: makes identities unique
  bool closing_ = false;
  Task when_idle_;
  Lifetime lifetime_;
};

}  // namespace baton::sender
