// The decoder's side: hands out pages, checks what was written, and lets it be claimed.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "baton/status.h"
#include "src/base/lifetime.h"
#include "src/base/loop_ref.h"
#include "src/control/control.h"
#include "src/memory/registered_buffer.h"
#include "src/receiver/chunk_pool.h"
#include "src/receiver/claims.h"
#include "src/receiver/committer.h"
#include "src/receiver/config.h"
#include "src/receiver/group_follower.h"
#include "src/receiver/group_leader.h"
#include "src/receiver/reads.h"
#include "src/receiver/request_table.h"
#include "src/receiver/stock_desk.h"
#include "src/transport/transport.h"
#include "src/wire/messages.h"

namespace baton::receiver {

/// What a Receiver stands on. All of it outlives the Receiver; the transports have the buffer
/// attached already.
struct Environment {
  Scheduler& scheduler;
  control::Network& network;
  std::vector<transport::Transport*> transports;  ///< in order of preference
  std::shared_ptr<RegisteredBuffer> buffer;
  std::shared_ptr<LoopRef> loop;
  Epoch epoch;
  /// How many pages, from the buffer's first on, are this receiver's; 0: all.
  std::uint32_t page_count = 0;
  transport::StockPlane* stock = nullptr;  ///< null: LMCache's own peers are refused
};

/// Wires the state machines to the control channel and the transports. All methods on the loop.
class Receiver final : private RequestListener,
                       private transport::PageGuard,
                       private transport::TransportObserver {
 public:
  /// Binds the init and the alloc port.
  static StatusOr<std::unique_ptr<Receiver>> create(Environment environment, Config config,
                                                    FaultHooks faults = {});
  ~Receiver() override;

  /// For what was put by Baton's senders. What LMCache's have put is asked for below.
  Claims& claims() { return claims_; }

  /// As of Claims; and with a stock plane the decoder's word that the proxy has released the
  /// request, which commits what LMCache's senders have put of it (docs/interop.md).
  void claim(const std::string& req_id, std::vector<std::string> keys, TimePoint deadline,
             Claims::ClaimDone done);
  void get(const std::string& key, TimePoint deadline, Claims::GetDone done);
  bool pin(const std::string& key, TimePoint expiry);
  /// Also true for a chunk that an LMCache sender may be writing.
  bool contains(std::string_view key);
  /// kNotFound; kFailedPrecondition while the chunk is in flight or held.
  Status remove(std::string_view key);
  /// Ends every live attempt of that name. False if there is none.
  bool cancel_request(const std::string& req_id);
  std::uint32_t evict_all_retained();

  struct CommittedPage {
    std::string key;
    std::uint32_t page = 0;
  };
  /// Those of `keys` that are committed here and can be kept, in order: each stays where it is for
  /// `lease` at least. For whoever can't release what it reads; nothing proves that it has finished
  /// by then.
  std::vector<CommittedPage> query_committed(const wire::KeyList& keys, Duration lease);

  struct Stats {
    ChunkPool::Counts pages;
    std::uint64_t requests = 0;  ///< live, waiting ones included
    std::uint64_t waiting = 0;
    std::uint64_t reads = 0;   ///< of others, out of this receiver's pages
    std::uint64_t claims = 0;  ///< and gets, that wait
    std::uint64_t peers = 0;
    std::uint64_t stock_peers = 0;  ///< LMCache's own
    std::uint64_t rejected_messages = 0;
    std::uint64_t refused_handshakes = 0;
    std::uint64_t cut_off = 0;  ///< peers that sent too much nonsense
  };
  Stats stats() const;
  std::string audit() const { return pool_.audit(); }

  /// The transports' observer, until somebody who hears for two halves stands between.
  transport::TransportObserver& observer() { return *this; }

  std::string init_endpoint() const { return init_->endpoint(); }
  std::string alloc_endpoint() const { return alloc_->endpoint(); }
  /// Empty if there is none.
  std::string query_endpoint() const { return query_ == nullptr ? "" : query_->endpoint(); }

  /// Fails what waits and ends every request; transports are their owner's to close.
  void close();

 private:
  struct Peer {
    transport::Transport* transport = nullptr;
    std::uint32_t version = 0;  ///< of the protocol, as agreed
    std::uint64_t hello = 0;    ///< number of the connection that said the last hello
    std::string welcome;        ///< the answer to it
    control::Route route;       ///< of its alloc client; empty until it has spoken there
    TimePoint heard{};          ///< when it last spoke
    bool connected = false;
    bool fencing = false;
    TimerId connect_timer = kNoTimer;
    wire::AheadGrant last_grant;  ///< of pages ahead: it may be asked for again
    bool recalled = false;        ///< what it has ahead was asked back since
  };
  /// A put that was not admitted because others have pages ahead, which were asked back.
  struct Parked {
    control::Route from;
    wire::AllocRequest message;
    TimePoint deadline;
  };

  Receiver(Environment environment, Config config, FaultHooks faults);
  Status bind();

  void on_init(const control::Route& from, std::string_view payload);
  /// False: it is no handshake of LMCache's, or those are refused.
  bool serve_stock_init(const control::Route& from, const wire::Message& message);
  /// What can't be read may be an LMCache sender's, which waits for an answer without end.
  void refuse_stock_init(const control::Route& from);
  void serve_stock(const control::Route& from, const wire::AllocRequest& message);
  void serve_stock(const control::Route& from, const wire::CancelNotif& message);
  void on_query(const control::Route& from, std::string_view payload);
  StatusOr<wire::Welcome> welcome(const wire::Hello& hello);
  void on_alloc(const control::Route& from, std::string_view payload);
  void handle(const control::Route& from, const wire::AllocRequest& message);
  void handle(const control::Route& from, const wire::OpenRequest& message);
  void handle(const control::Route& from, const wire::CommitRequest& message);
  void handle(const control::Route& from, const wire::DrainNotif& message);
  void handle(const control::Route& from, const wire::CancelNotif& message);
  void handle(const control::Route& from, const wire::ReleaseNotif& message);
  void handle(const control::Route& from, const wire::Heartbeat& message);
  void handle(const control::Route& from, const wire::ReadRequest& message);
  void handle(const control::Route& from, const wire::ReadRelease& message);
  void handle(const control::Route& from, const wire::AheadRequest& message);
  void handle(const control::Route& from, const wire::GroupJoin& message);
  void handle(const control::Route& from, const wire::GroupNotif& message);
  template <typename Other>
  void handle(const control::Route& from, const Other& message);

  /// The message is meant for this incarnation and comes from the connected peer it names, of
  /// which it is a sign of life.
  Status check_parties(const control::Route& from, const wire::Parties& parties);
  /// The put's request fails on all ranks.
  void refuse(const wire::AllocRequest& message, const Status& why);
  void answer_allocation(const control::Route& from, const wire::AllocRequest& message,
                         StatusOr<wire::AllocResponse> result);
  /// Asks for the pages that are granted ahead; `again`: also of those who were asked.
  void recall_ahead(bool again);
  /// False: the refusal stands.
  bool park(const control::Route& from, const wire::AllocRequest& message, const Status& refusal);
  void retry_parked();
  /// Requests have ended or begun, pages come back.
  void on_settled();
  StatusOr<std::string> issue_ticket(const Epoch& sender, transport::Transport& transport,
                                     std::uint32_t version);
  /// A hello that came before: it is answered as it was, or not at all.
  bool is_repeated(const control::Route& from, const Epoch& sender);
  /// Ends what was silent for too long; at a fixed pace.
  void sweep();
  void schedule_sweep();
  /// Pages that are not given back: their writers are reminded, then fenced.
  void ask_for_drains();
  /// Reads that are not released: their readers are reminded, then fenced.
  void ask_for_releases();
  void make_group();
  /// Ends a request from this side: its sender is told, and drains.
  void end_and_tell(const RequestId& id, const Status& why);
  void fence(const Epoch& sender, Peer& peer);
  /// Drops a message, and counts it.
  void reject(const control::Route& from, std::string_view what, const Status& why);
  /// The same for one that nobody honest sends: who sends kMaxStrikes of them in a lease is cut
  /// off.
  void strike(const control::Route& from, std::string_view what, const Status& why);
  void cut_off(const control::Route& from);
  /// False if it could not be sent.
  bool answer(const control::Route& to, const wire::Message& message);
  /// In a later turn: its unfinished requests end, and it is fenced.
  void lose(const Epoch& sender, const Status& why);
  /// Why a sender is lost that can't be told which pages it was granted: it can't give them back
  /// either.
  static Status cannot_tell();
  void answer_open(const control::Route& to, const std::string& req_id, std::uint64_t attempt,
                   const Status& status);

  // RequestListener
  void on_open_decided(const Request& request, const Status& status) override;
  void on_chunk_update(const Put& put, wire::ChunkUpdate update) override;
  // PageGuard
  bool may_write(const Epoch& writer, std::uint32_t page, std::uint64_t generation,
                 std::uint64_t offset_bytes, std::uint64_t length_bytes) const override;
  bool may_read(const Epoch& reader, std::uint32_t page, std::uint64_t generation,
                std::uint64_t offset_bytes, std::uint64_t length_bytes) const override;
  // TransportObserver
  void on_writer_connected(const Epoch& peer) override;
  void on_writer_gone(const Epoch& peer, const Status& why) override;
  void on_receiver_gone(const Epoch& peer, const Status& why) override;
  void on_writer_says(const Epoch& peer, std::string_view message) override;

  Environment env_;
  const Config config_;
  FaultHooks faults_;
  ChunkPool pool_;
  RequestTable table_;
  Committer committer_;
  Claims claims_;
  Reads reads_;
  std::unique_ptr<StockDesk> stock_;         // null: refused
  std::unique_ptr<GroupLeader> leader_;      // rank 0 of a group
  std::unique_ptr<GroupFollower> follower_;  // another rank of one
  absl::flat_hash_map<Epoch, Peer> peers_;
  std::vector<Parked> parked_;
  std::unique_ptr<control::Server> init_;
  std::unique_ptr<control::Server> alloc_;
  std::unique_ptr<control::Server> query_;
  TimerId sweep_timer_ = kNoTimer;
  std::uint32_t sweeps_ = 0;
  std::map<control::Route, std::uint32_t> strikes_;  // of the last kMaxStruck routes or so
  std::uint64_t rejected_messages_ = 0;
  std::uint64_t cut_off_ = 0;
  std::uint64_t refused_handshakes_ = 0;
  Lifetime lifetime_;
};

}  // namespace baton::receiver
