// PdBackend: Baton's front door. Hands KV chunks from a prefill process to a decode process.
#pragma once

#include <absl/functional/any_invocable.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "baton/claim.h"
#include "baton/key.h"
#include "baton/memory_obj.h"
#include "baton/options.h"
#include "baton/put_handle.h"
#include "baton/read_handle.h"
#include "baton/request_handle.h"
#include "baton/status.h"
#include "baton/tensor_meta.h"

namespace baton {

/// What the engine knows of its KV cache. Sender and receiver must agree on all of it; the
/// handshake compares it and names what differs.
struct CacheLayout {
  std::string model_name;         ///< as in the keys
  std::string model_fingerprint;  ///< opaque: equal weights ⇔ equal strings
  std::string hash_scheme;        ///< how chunk hashes are made, with version and seed
  std::uint32_t world_size = 1;   ///< TP ranks
  std::uint32_t worker_id = 0;    ///< this rank
  /// A full chunk: KV_2LTD [2, L, T, D] or KV_MLA_FMT [1, L, T, D], with T = chunk_size tokens.
  TensorMeta full_chunk;
};

/// Where one put goes, and what it is part of: LMCache's disagg_spec.
struct TransferSpec {
  std::string req_id;
  /// A nonce that tells retries of one req_id apart; all ranks and all puts of one try share it.
  /// Make it random: what has failed is remembered by it. The ranks of a TP group find each other
  /// by it: with a world_size above 1, 0 is refused (kInvalidArgument).
  std::uint64_t attempt = 0;
  std::string receiver_host = "127.0.0.1";
  /// One a rank; indexed by this sender's worker_id.
  std::vector<std::uint16_t> receiver_init_port;
  std::vector<std::uint16_t> receiver_alloc_port;
  /// Where an LMCache receiver says what it has (its pd_peer_query_port): a read from one needs it.
  /// Ignored where the receiver is Baton's.
  std::vector<std::uint16_t> receiver_query_port;
  /// This put is the request's last: when all are committed, the proxy is told.
  bool is_last_prefill = false;
  /// Chunks of the whole request; needed unless the request was opened or this put is all of it.
  std::uint32_t total_chunks = 0;
  /// pd_put_timeout_ms if not given; of a read, pd_read_timeout_ms.
  std::optional<std::chrono::milliseconds> timeout;
};

/// A request to be admitted before its first put.
struct RequestSpec {
  TransferSpec to;  ///< is_last_prefill is ignored
  /// All chunks of the request, where they are known: chunks that the receiver has then count as
  /// hits. Empty: to.total_chunks pages are reserved.
  std::vector<CacheEngineKey> keys;
  /// pd_admission_timeout_ms if not given.
  std::optional<std::chrono::milliseconds> timeout;
  /// The objects of RequestHandle::allocate() may lie in the receiver's own pages: prefill writes
  /// straight there, and the put moves no bytes. So it is where the receiver is on this host (shm)
  /// and has pages to spare, as many as it allows (pd_max_peer_pages_ahead); otherwise, and for the
  /// rest of the chunks, they are staging pages as ever (MemoryObj::in_place() tells). An object in
  /// place can be put to this receiver alone, and once; after that nobody may write to it. A
  /// request that has put one is not put again to a restarted receiver: it fails (kUnavailable).
  bool in_place = false;
};

/// Counts at one moment. Pages are the registered buffer's: a sender's staging, a receiver's pages,
/// and with pd_role: both the receiver's part. `requests`, `requests_waiting` and `peers` then
/// count what both halves have.
struct BackendStats {
  std::uint64_t pages_total = 0;
  std::uint64_t pages_free = 0;      ///< those ahead included
  std::uint64_t pages_reserved = 0;  ///< promised, not yet taken; part of free and retained
  /// Receiver: part of the free ones, granted to senders for no chunk yet, and asked back when they
  /// are needed.
  std::uint64_t pages_ahead = 0;
  std::uint64_t pages_granted = 0;      ///< receiver: being written
  std::uint64_t pages_held = 0;         ///< receiver: committed and in use
  std::uint64_t pages_retained = 0;     ///< receiver: committed cache, evictable
  std::uint64_t pages_quarantined = 0;  ///< receiver: wait for a drain or a fence
  std::uint64_t requests = 0;
  std::uint64_t requests_waiting = 0;     ///< for admission (receiver) or staging (sender)
  std::uint64_t puts = 0;                 ///< sender: under way
  std::uint64_t reads = 0;                ///< sender: under way
  std::uint64_t reads_served = 0;         ///< receiver: by others, whose chunks are held
  std::uint64_t staging_pages_total = 0;  ///< sender
  std::uint64_t staging_pages_free = 0;
  std::uint64_t staging_pages_reserved = 0;
  std::uint64_t peers = 0;
  std::uint64_t rejected_messages = 0;  ///< receiver: dropped as nonsense
  std::uint64_t peers_cut_off = 0;      ///< receiver: for sending too much of it
};

struct FaultInjection;  // src/backend/fault_injection.h: deliberate damage, for tests

/// One process's end of the handoff: sender, receiver or both (Options::pd_role). Owns a registered
/// buffer and one progress thread.
///
/// Threads: all methods from any thread. Methods that wait return kFailedPrecondition when called
/// on the progress thread (inside a callback), instead of waiting for themselves. Callbacks run on
/// the progress thread, never inside the call that caused them; but a call that is refused because
/// the backend is closed (kFailedPrecondition) or changes its role (kUnavailable) tells so inside
/// the call. Callbacks must not block, and may call every method that does not wait.
///
/// Errors: Status, with messages that name the value, the limit and what to do. After close(), and
/// for what the role has no part in: kFailedPrecondition. While change_role() works: kUnavailable.
class PdBackend {
 public:
  /// Checks the options, registers the buffer, binds the ports (receiver), starts the thread.
  static StatusOr<std::unique_ptr<PdBackend>> create(const Options& options,
                                                     const CacheLayout& layout,
                                                     FaultInjection* faults = nullptr);
  /// close().
  ~PdBackend();
  PdBackend(const PdBackend&) = delete;
  PdBackend& operator=(const PdBackend&) = delete;

  /// Ends everything: what is under way is cancelled and drained (at most pd_shutdown_timeout_ms),
  /// callbacks run, the thread ends. Idempotent. Handles and memory objects may outlive it. Not
  /// from a callback.
  void close();

  // ---- sender ------------------------------------------------------------------------------

  /// Waits until the request is admitted whole on both sides. kDeadlineExceeded after its timeout;
  /// kResourceExhausted at once if it can never fit.
  StatusOr<RequestHandle> open_request(const RequestSpec& spec);
  using Opened = absl::AnyInvocable<void(StatusOr<RequestHandle>)>;
  /// The same without waiting.
  void open_request_async(const RequestSpec& spec, Opened opened);

  /// Staging pages outside any opened request: at once or not at all.
  StatusOr<MemoryObj> allocate(const TensorMeta& meta);
  StatusOr<std::vector<MemoryObj>> batched_allocate(const TensorMeta& meta, std::uint32_t count);

  /// Called once per key, after the put has ended and its references are given back.
  using OnComplete = absl::AnyInvocable<void(const CacheEngineKey& key, const Status& status)>;
  /// Puts `memory_objs[i]` under `keys[i]` into the receiver's pages, leaves out what is there, and
  /// returns at once. The objects must come from this backend; all but the last hold a full chunk.
  /// A put of a request that was not opened is admitted by the receiver at once or refused.
  ///
  /// kInvalidArgument for arguments that can't work, kResourceExhausted for too many puts under
  /// way; then nothing was started and no callback comes. Everything later comes through the handle
  /// and the callback.
  StatusOr<PutHandle> batched_submit_put_task(std::span<const CacheEngineKey> keys,
                                              std::span<const MemoryObj> memory_objs,
                                              const TransferSpec& transfer_spec,
                                              OnComplete on_complete_callback = nullptr);

  /// Reads what the receiver has of `keys`: the chunk of keys[i] into `local_objs[i]`, an object of
  /// allocate()'s with the chunk's own shape (a full chunk, or one of fewer tokens where the chunk
  /// is partial). Returns at once. The receiver keeps what it has until it was read; nothing is
  /// waited for there, and nothing is read that is not committed. Each read chunk's digest is
  /// checked (unless the receiver's pd_integrity is off).
  ///
  /// The callback and ReadResult::statuses tell of each key: OK; kNotFound: not there (or its page
  /// is needed for a request); kDataLoss: its digest is wrong; kInvalidArgument: it has another
  /// length than the object; or why the read as a whole failed. What an object holds whose key is
  /// not OK is undefined. Of `transfer_spec` host and ports say where, req_id who asks
  /// (cancel_request() ends its reads too), and timeout how long.
  ///
  /// Errors of the call itself as batched_submit_put_task(). An object must be in no other put or
  /// read until the callback. kFailedPrecondition through the handle if the receiver speaks
  /// no version of the protocol that has reads.
  ///
  /// From an LMCache receiver (pd_stock_peers: allow) nothing is held, no digest and no length is
  /// checked, and what it calls cached may be half written: docs/interop.md says what a hit is
  /// worth there. kInvalidArgument through the handle if receiver_query_port names no port.
  StatusOr<ReadHandle> batched_submit_read_task(std::span<const CacheEngineKey> keys,
                                                std::span<const MemoryObj> local_objs,
                                                const TransferSpec& transfer_spec,
                                                OnComplete on_complete_callback = nullptr);

  // ---- both --------------------------------------------------------------------------------

  /// Sender: fails every attempt of that request, and every read in its name; they drain. Receiver:
  /// ends its holds.
  /// kNotFound if there is none.
  Status cancel_request(const std::string& req_id);
  BackendStats stats();
  /// "shm", "ucx", "tcp", "nixl": what the options allow, in order of preference.
  std::vector<std::string> transports() const;
  /// Sender: those really in use, agreed with the receivers that it is connected to now.
  std::vector<std::string> transports_in_use();

  Role role() const;
  /// Makes this process a sender, a receiver or both, from now on. It must be drained:
  /// kFailedPrecondition names what is still under way (requests, puts, reads, claims, pins, memory
  /// objects, pages in quarantine), and nothing has happened. Otherwise it comes back as another
  /// incarnation, with the same options: its peers lose their connections and meet it anew, its
  /// ports are bound again (those given as 0 to others), and what was retained as cache is gone.
  ///
  /// Waits until that is done; calls meanwhile get kUnavailable. kInvalidArgument if the options
  /// lack what the role needs. If it can't begin in the new role (a port is taken), it begins again
  /// in the old one and the error says why; if that fails too it is closed. Not from a callback.
  Status change_role(Role role);

  // ---- receiver ----------------------------------------------------------------------------

  /// All chunks of the request in the order of `keys` (the whole prompt's, partial last chunk
  /// included), or none. Waits until the request is complete; then ends the request's own holds.
  /// kNotFound for a key that is not of the request, kAborted if the request failed,
  /// kDeadlineExceeded (default: pd_claim_timeout_ms), kDataLoss (pd_integrity: paranoid).
  StatusOr<Claim> claim(const std::string& req_id, std::span<const CacheEngineKey> keys,
                        std::optional<std::chrono::milliseconds> timeout = std::nullopt);
  using Claimed = absl::AnyInvocable<void(StatusOr<Claim>)>;
  void claim_async(const std::string& req_id, std::span<const CacheEngineKey> keys,
                   std::optional<std::chrono::milliseconds> timeout, Claimed claimed);

  /// True once the chunk is committed. With pd_stock_peers: allow also for one that an LMCache
  /// sender may be writing: there claim, get_blocking and pin are the word that the proxy has
  /// released it, and must come after that (docs/interop.md).
  bool contains(const CacheEngineKey& key);
  /// Keeps a committed chunk from eviction for `lease`, or until unpin().
  bool pin(const CacheEngineKey& key, std::chrono::milliseconds lease);
  bool unpin(const CacheEngineKey& key);
  /// One chunk, waiting while it is in flight. kNotFound if it is not here.
  StatusOr<MemoryObj> get_blocking(const CacheEngineKey& key,
                                   std::optional<std::chrono::milliseconds> timeout = std::nullopt);
  /// kNotFound; kFailedPrecondition while somebody holds it or writes it.
  Status remove(const CacheEngineKey& key);
  /// Frees every retained page; returns how many.
  std::uint64_t evict_all_retained();

  /// The ports really bound; 0 for a sender.
  std::uint16_t init_port() const;
  std::uint16_t alloc_port() const;
  /// 0 if there is none.
  std::uint16_t query_port() const;

 private:
  class Impl;
  explicit PdBackend(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace baton
