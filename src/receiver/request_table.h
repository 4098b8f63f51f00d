// Requests, their puts and their holds: the receiver's state machine.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "baton/status.h"
#include "src/base/duplicates.h"
#include "src/base/lifetime.h"
#include "src/base/scheduler.h"
#include "src/receiver/admission.h"
#include "src/receiver/chunk_pool.h"
#include "src/receiver/config.h"
#include "src/receiver/group.h"
#include "src/receiver/request.h"
#include "src/wire/messages.h"

namespace baton::receiver {

/// What a RequestTable tells. Called in the middle of its work: must not call back into it, except
/// where it says so.
class RequestListener {
 public:
  virtual ~RequestListener() = default;
  /// A waiting request was admitted (OK), or its time ran out.
  virtual void on_open_decided(const Request& request, const Status& status) = 0;
  /// News for a put that awaits others' chunks.
  virtual void on_chunk_update(const Put& put, wire::ChunkUpdate update) = 0;
};

/// All methods on the loop. After any call, settle() should be called once in a later turn (the
/// table posts it itself): it admits who waits and tells `changed`.
class RequestTable {
 public:
  RequestTable(Scheduler& scheduler, ChunkPool& pool, const Config& config, FaultHooks& faults,
               RequestListener& listener, Task changed);

  /// Admits, queues or refuses a request. A returned error is the answer; otherwise
  /// on_open_decided follows, inside this call if it is admitted at once, or has been before.
  Status open(const wire::OpenRequest& message, const control::Route& route);

  /// Answers an AllocRequest of a connected peer. Opens the request if it isn't: at once or not at
  /// all, for its sender holds staging pages already. A put that is known gets the present state of
  /// its keys. Eager bytes are committed before the answer, where their keys were granted.
  StatusOr<wire::AllocResponse> allocate(const wire::AllocRequest& message,
                                         const control::Route& route);

  /// Every page is granted to `writer` under its generation: the chunks, in order. kAborted
  /// otherwise. An empty list means: all of them were committed by this writer before.
  StatusOr<std::vector<Chunk*>> find_grants(const Writer& writer,
                                            std::span<const std::uint32_t> pages,
                                            std::span<const std::uint64_t> generations);
  void commit(const Writer& writer, std::span<Chunk* const> chunks);

  /// The writer can't touch these pages any more. Ends its request if they were granted still. Put
  /// id 0 gives pages ahead back, and such as were.
  void drain(const Writer& writer, std::span<const std::uint32_t> pages,
             std::span<const std::uint64_t> generations);

  /// Ends a request: its holds and its reservation go, its granted pages are quarantined. Nothing
  /// happens for an unknown one.
  void end(const RequestId& id, const Status& why);
  /// Its sender will send nothing (more) of it: ends it without blame, unless it is complete and
  /// may be claimed.
  void release(const RequestId& id);
  /// Ends every request of `sender` that is not complete.
  void end_unfinished(const Epoch& sender, const Status& why);
  /// The sender says that the request lives. False if it doesn't live here, nor has been claimed.
  bool renew(const RequestId& id);
  /// Unfinished requests that were not spoken of since `then`; in order.
  std::vector<RequestId> silent_since(TimePoint then) const;
  /// Pages of a fenced process become free.
  void release_fenced(const Epoch& sender);

  /// Every live attempt of that name.
  std::vector<RequestId> attempts_of(const std::string& req_id) const;
  /// The request of that name that may be claimed, else the newest; nullptr if there is none.
  Request* find_by_req_id(std::string_view req_id);
  Request* find(const RequestId& id);
  std::size_t size() const { return requests_.size(); }
  std::size_t waiting() const { return admission_.waiting(); }
  /// Pages of the sender's, for what it will put: at most `most`, and none that anybody needs.
  std::vector<const Chunk*> grant_ahead(const Epoch& sender, std::uint32_t most);
  /// How many requests that came with their first put were refused because pages were lacking that
  /// the pool has, and for no other reason.
  std::uint64_t turned_away() const { return turned_away_; }
  /// A request waits for pages, here or (in a TP group) in its leader's queue.
  bool somebody_waits() const;

  // ---- for a TP group ------------------------------------------------------------------------
  /// Before the first request. Requests are then admitted by all ranks together.
  void set_group(Group* group) { group_ = group; }
  Request* find_attempt(const wire::AttemptName& name);
  /// In order.
  std::vector<wire::AttemptName> living_attempts() const;
  bool fits(const Request& request) { return admission_.fits(request); }
  /// Something that was asked for an attempt that doesn't live here was refused: it fails on all
  /// ranks. Unless it has been claimed here, and this was said again.
  void refuse(const RequestId& id, const Status& why);
  /// waiting → reserved, if it fits now.
  bool reserve(Request& request);
  /// reserved → waiting, and → open.
  void withdraw(Request& request);
  void admit_reserved(Request& request);

  /// How the last requests ended that did not complete (bounded memory): for claims that come late.
  const Status* ended_with(std::string_view req_id) const;

  ChunkPool& pool() { return pool_; }
  /// Something happened that may let others proceed: settle soon.
  void schedule_settle();

 private:
  /// What holds for every new request: bounds, and that its attempt has not ended before.
  Status check_new(const Request& request) const;
  StatusOr<Request*> open_implicitly(const wire::AllocRequest& message,
                                     const control::Route& route);
  /// Says in keys_ which chunks the request holds already.
  Status check_put(const Request& request, const wire::AllocRequest& message);
  void add_request(std::unique_ptr<Request> request);
  /// A key whose chunk is there.
  void take_hit(Request& request, Put& put, std::uint32_t index);
  /// One whose chunk isn't.
  void grant_page(Request& request, Put& put, std::uint32_t index, std::string_view key,
                  const TensorMeta& meta, std::size_t bytes);
  /// The same, where its sender has filled a page ahead.
  void adopt_page(Request& request, Put& put, std::uint32_t index, std::string_view key,
                  const TensorMeta& meta, std::size_t bytes);
  /// Says in keys_ which of the pages that the message names are its sender's.
  void find_ahead(const wire::AllocRequest& message);
  /// How many chunks of the put need no page, for they lie in one.
  std::uint32_t count_ahead() const;
  Status commit_ahead(Put& put, const wire::AllocRequest& message);
  Status place(Put& put, const wire::AllocRequest& message);
  /// Commits granted chunks of a put before it is answered.
  void commit_placed(Put& put, std::span<Chunk* const> placed);
  void withdraw_grants(const Put& put, const Status& why);
  wire::AllocResponse describe(const Put& put) const;
  void seal(Request& request);
  void complete_if_done(Request& request);
  void settle();
  /// A granted chunk whose request ends: its page goes to quarantine, and the first who awaits it
  /// takes over with a page of its own.
  void hand_over(Chunk& chunk);
  void drop_waits(Request& request);
  Put* find_put(const Writer& writer);
  void release_holds(Request& request);
  void remember_end(const Request& request, const Status& why);
  void time_out(const RequestId& id);

  Scheduler& scheduler_;
  ChunkPool& pool_;
  const Config& config_;
  FaultHooks& faults_;
  RequestListener& listener_;
  Task changed_;
  Group* group_ = nullptr;
  Admission admission_;
  KeyBatch keys_;    // of the message that is being handled
  Duplicates seen_;  // likewise: its pages
  absl::flat_hash_map<RequestId, std::unique_ptr<Request>> requests_;
  absl::flat_hash_map<std::string, std::vector<Request*>> by_req_id_;  // oldest first
  /// Requests of one sender, and their chunks.
  struct Share {
    std::uint32_t requests = 0;
    std::uint64_t chunks = 0;
  };
  absl::flat_hash_map<Epoch, Share> shares_;
  using PutId = std::pair<Epoch, std::uint64_t>;
  absl::flat_hash_map<PutId, Put*> puts_;
  absl::flat_hash_map<std::string, Status> ended_;         // by name
  absl::flat_hash_map<RequestId, Status> ended_attempts_;  // OK: claimed
  std::vector<RequestId> ended_ring_;
  std::size_t ended_next_ = 0;
  std::uint64_t turned_away_ = 0;
  bool settle_scheduled_ = false;
  Lifetime lifetime_;
};

}  // namespace baton::receiver
