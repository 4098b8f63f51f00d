// Every control message, as plain structs. docs/protocol.md describes each byte and who sends
// what when; wire/codec.h turns them into bytes and back.
//
// Fields stand in wire order. The first group is LMCache's; where Baton adds fields to a message
// of LMCache's, they come last and form one optional struct (`baton`): all of its fields are there,
// or none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "baton/tensor_meta.h"
#include "src/base/epoch.h"
#include "src/wire/key_list.h"

namespace baton::wire {

// ---- LMCache's messages ------------------------------------------------------------------------

/// Whom a message on the alloc port comes from and is meant for. `receiver_epoch` is what the
/// sender learned in the handshake; a receiver of another epoch refuses the message.
struct Parties {
  Epoch sender_epoch;
  Epoch receiver_epoch;
  bool operator==(const Parties&) const = default;
};

struct AllocRequest {
  static constexpr const char* kType = "AllocRequest";
  /// Present in LMCache's async flavour (and always from Baton).
  struct Async {
    std::string req_id;
    bool is_last_batch = false;
    std::uint32_t total_chunks = 0;  ///< of the whole request; 0: not said
    bool operator==(const Async&) const = default;
  };
  struct Baton {
    Parties parties;
    std::uint64_t attempt = 0;
    std::uint64_t put_id = 0;  ///< unique per sender epoch
    bool operator==(const Baton&) const = default;
  };
  /// Since version 4: the chunks themselves, of a small put. Only with `baton`.
  struct Eager {
    std::vector<std::uint64_t> digests;  ///< one per key, or none
    std::string bytes;  ///< bin, ≤ max_blob_bytes: the chunks' bytes, in the order of the keys
    bool operator==(const Eager&) const = default;
  };
  /// Since version 5: chunks that lie in pages granted ahead. Only with `baton`, not with `eager`.
  /// One entry per key.
  struct Ahead {
    std::vector<std::int64_t> pages;         ///< where the key's chunk is, all of it; -1: nowhere
    std::vector<std::uint64_t> generations;  ///< of the page's grant; 0 where there is no page
    /// Of the chunks that are there, 0 for others; or none: their commits come later.
    std::vector<std::uint64_t> digests;
    bool operator==(const Ahead&) const = default;
  };
  KeyList keys;  ///< each passed CacheEngineKey::validate
  MemoryFormat fmt = MemoryFormat::kKv2ltd;
  std::vector<std::int64_t> shape;  ///< of a full chunk
  DType dtype = DType::kHalf;
  std::uint32_t last_chunk_toks = 0;  ///< tokens in the last key's chunk: 1 … shape's tokens
  std::optional<Async> async;
  std::optional<Baton> baton;
  std::optional<Eager> eager;
  std::optional<Ahead> ahead;
  bool operator==(const AllocRequest&) const = default;
};

/// What the receiver says of one key.
enum class KeyState : std::uint8_t {
  kGranted = 0,    ///< write page remote_indexes[i] under generations[i]
  kCommitted = 1,  ///< already there: leave it out
  kInFlight = 2,   ///< another put is writing it: leave it out, await a ChunkUpdate
  /// What came with the request, or lay there already, is in page remote_indexes[i] under
  /// generations[i], committed.
  kPlaced = 3,
};

struct AllocResponse {
  static constexpr const char* kType = "AllocResponse";
  struct Baton {
    std::uint64_t put_id = 0;
    std::uint32_t code = 0;  ///< absl::StatusCode; 0 is OK; otherwise the lists are empty
    std::string message;
    std::vector<KeyState> states;            ///< one per key
    std::vector<std::uint64_t> generations;  ///< one per key; 0 where there is no page
    bool operator==(const Baton&) const = default;
  };
  /// Sync flavour: `already_sent_indexes` stands first on the wire, and remote_indexes has entries
  /// for new keys only. Async flavour (and Baton): remote_indexes first, one per key, -1 where
  /// there is no page. Decoding sets it from the order of the fields.
  bool sync_flavour = false;
  std::vector<std::int64_t> remote_indexes;
  std::vector<std::int64_t> already_sent_indexes;
  std::optional<Baton> baton;
  bool operator==(const AllocResponse&) const = default;
};

struct ProxyNotif {
  static constexpr const char* kType = "ProxyNotif";
  /// Sent to a Baton proxy only: which rank of which attempt speaks, so that a copy isn't counted.
  struct Baton {
    Epoch sender_epoch;
    std::uint64_t attempt = 0;
    std::uint32_t worker_id = 0;
    bool operator==(const Baton&) const = default;
  };
  std::string req_id;
  std::optional<Baton> baton;
  bool operator==(const ProxyNotif&) const = default;
};

struct CancelNotif {
  static constexpr const char* kType = "CancelNotif";
  struct Baton {
    Parties parties;
    std::uint64_t attempt = 0;
    std::string reason;
    bool operator==(const Baton&) const = default;
  };
  std::string req_id;
  KeyList keys;
  std::optional<Baton> baton;
  bool operator==(const CancelNotif&) const = default;
};

struct CacheQueryRequest {
  static constexpr const char* kType = "CacheQueryRequest";
  KeyList keys;
  bool operator==(const CacheQueryRequest&) const = default;
};

struct CacheQueryResponse {
  static constexpr const char* kType = "CacheQueryResponse";
  KeyList cached_keys;
  std::vector<std::int64_t> cached_indexes;
  bool operator==(const CacheQueryResponse&) const = default;
};

/// Carries Baton's hello in the extra field `baton` (bin: an encoded Hello), which LMCache ignores.
struct NixlInitRequest {
  static constexpr const char* kType = "NixlInitRequest";
  std::string local_meta_bytes;
  std::optional<std::string> baton;
  bool operator==(const NixlInitRequest&) const = default;
};

/// The extra field `baton` (bin) holds an encoded Welcome or Refusal.
struct NixlInitResponse {
  static constexpr const char* kType = "NixlInitResponse";
  std::string remote_agent_name;
  std::string remote_meta_bytes;
  std::optional<std::string> baton;
  bool operator==(const NixlInitResponse&) const = default;
};

struct NixlMemRegRequest {
  static constexpr const char* kType = "NixlMemRegRequest";
  std::string remote_agent_name;
  std::string local_id;
  std::string local_xfer_dlist_bytes;
  bool operator==(const NixlMemRegRequest&) const = default;
};

struct NixlMemRegResponse {
  static constexpr const char* kType = "NixlMemRegResponse";
  std::string remote_xfer_dlist_bytes;
  bool operator==(const NixlMemRegResponse&) const = default;
};

// ---- Baton's own: handshake --------------------------------------------------------------------

/// What both sides must agree on. Compared field by field; a mismatch is refused with both values.
struct LayoutInfo {
  std::string model_name;
  std::string model_fingerprint;  ///< opaque; equal weights ⇔ equal strings
  std::string hash_scheme;        ///< how chunk hashes are made, with its version and seed
  std::uint32_t world_size = 1;
  std::uint32_t worker_id = 0;
  std::uint32_t chunk_size = 0;  ///< tokens
  MemoryFormat fmt = MemoryFormat::kKv2ltd;
  std::vector<std::int64_t> shape;  ///< of a full chunk
  DType dtype = DType::kHalf;
  bool operator==(const LayoutInfo&) const = default;
};

struct TransportOffer {
  std::string name;
  std::string offer;
  bool operator==(const TransportOffer&) const = default;
};

/// Sender → receiver, inside NixlInitRequest.
struct Hello {
  static constexpr const char* kType = "BatonHello";
  std::uint32_t version_min = 0;
  std::uint32_t version_max = 0;
  Epoch epoch;
  LayoutInfo layout;
  /// On the wire two lists of equal length: transports (str), transport_offers (bin).
  std::vector<TransportOffer> transports;
  bool operator==(const Hello&) const = default;
};

/// Receiver → sender, inside NixlInitResponse.
struct Welcome {
  static constexpr const char* kType = "BatonWelcome";
  std::uint32_t version = 0;
  Epoch epoch;
  std::uint64_t page_bytes = 0;
  std::uint32_t page_count = 0;
  std::uint32_t max_keys = 0;  ///< keys in one message
  std::uint64_t max_message_bytes = 0;
  bool digests = true;  ///< commits must carry digests
  std::string transport;
  std::string ticket;  ///< bin, ≤ max_blob_bytes
  /// Since version 2: how long the receiver trusts a sender's silence; 0: it grants no leases.
  std::uint32_t lease_ms = 0;
  bool operator==(const Welcome&) const = default;
};

/// Receiver → sender, inside NixlInitResponse.
struct Refusal {
  static constexpr const char* kType = "BatonRefusal";
  std::uint32_t code = 0;  ///< absl::StatusCode, never 0
  std::string message;
  bool operator==(const Refusal&) const = default;
};

// ---- Baton's own: alloc port -------------------------------------------------------------------

struct OpenRequest {
  static constexpr const char* kType = "BatonOpenRequest";
  Parties parties;
  std::string req_id;
  std::uint64_t attempt = 0;
  KeyList keys;                    ///< all distinct keys, or empty
  std::uint32_t total_chunks = 0;  ///< counts where keys is empty
  std::uint32_t timeout_ms = 0;    ///< how long the request may wait for admission; at least 1
  bool operator==(const OpenRequest&) const = default;
};

struct OpenResponse {
  static constexpr const char* kType = "BatonOpenResponse";
  std::string req_id;
  std::uint64_t attempt = 0;
  std::uint32_t code = 0;
  std::string message;
  bool operator==(const OpenResponse&) const = default;
};

/// "The bytes of these pages are there." Lists of equal length; digests empty if not asked for.
struct CommitRequest {
  static constexpr const char* kType = "BatonCommitRequest";
  Parties parties;
  std::uint64_t put_id = 0;
  std::uint32_t slice = 0;  ///< counts the commits of one put from 0; echoed
  std::vector<std::uint32_t> pages;
  std::vector<std::uint64_t> generations;
  std::vector<std::uint64_t> digests;
  bool operator==(const CommitRequest&) const = default;
};

struct CommitResponse {
  static constexpr const char* kType = "BatonCommitResponse";
  std::uint64_t put_id = 0;
  std::uint32_t slice = 0;
  std::uint32_t code =
      0;  ///< 0: every page of the slice is committed; otherwise none may be counted
  std::string message;
  bool operator==(const CommitResponse&) const = default;
};

/// Receiver → sender: news of keys that were answered kInFlight.
struct ChunkUpdate {
  static constexpr const char* kType = "BatonChunkUpdate";
  std::uint64_t put_id = 0;
  std::vector<std::uint32_t> key_indexes;  ///< in the put's AllocRequest
  std::vector<KeyState> states;            ///< kCommitted; or kGranted: take over
  std::vector<std::uint32_t> pages;        ///< 0 where not granted
  std::vector<std::uint64_t> generations;
  bool operator==(const ChunkUpdate&) const = default;
};

/// Sender → receiver: nothing of this put can touch these pages any more, and they will not be
/// committed. Idempotent.
struct DrainNotif {
  static constexpr const char* kType = "BatonDrainNotif";
  Parties parties;
  std::uint64_t put_id = 0;
  std::vector<std::uint32_t> pages;
  std::vector<std::uint64_t> generations;
  std::uint64_t sequence = 0;  ///< since version 2: tells drains of one put apart; echoed
  bool operator==(const DrainNotif&) const = default;
};

struct DrainAck {
  static constexpr const char* kType = "BatonDrainAck";
  std::uint64_t put_id = 0;
  std::uint32_t code = 0;
  std::string message;
  std::uint64_t sequence = 0;
  bool operator==(const DrainAck&) const = default;
};

/// Sender → receiver: gives back an open request of which nothing will come. Not a failure; what
/// it holds goes, and its unused reservation. Idempotent; not answered.
struct ReleaseNotif {
  static constexpr const char* kType = "BatonReleaseNotif";
  Parties parties;
  std::string req_id;
  std::uint64_t attempt = 0;
  bool operator==(const ReleaseNotif&) const = default;
};

// ---- Baton's own, since version 2 ---------------------------------------------------------------

/// An attempt of a request, where the sender is known from elsewhere.
struct AttemptName {
  std::string req_id;
  std::uint64_t attempt = 0;
  auto operator<=>(const AttemptName&) const = default;
};

/// Sender → receiver, at a fixed pace while connected: these requests live. At most
/// Limits::max_named_requests; a sender with more sends several.
struct Heartbeat {
  static constexpr const char* kType = "BatonHeartbeat";
  Parties parties;
  std::uint64_t sequence = 0;  ///< echoed
  /// On the wire two lists of equal length: req_ids (str), attempts (int).
  std::vector<AttemptName> requests;
  bool operator==(const Heartbeat&) const = default;
};

struct HeartbeatAck {
  static constexpr const char* kType = "BatonHeartbeatAck";
  std::uint64_t sequence = 0;
  std::uint32_t code = 0;
  std::string message;
  std::vector<AttemptName> unknown;  ///< of those named, the ones that don't live at the receiver
  bool operator==(const HeartbeatAck&) const = default;
};

/// Receiver → sender: this attempt has ended here; its pages wait for a drain.
struct EndNotif {
  static constexpr const char* kType = "BatonEndNotif";
  std::string req_id;
  std::uint64_t attempt = 0;
  std::uint32_t code = 0;  ///< absl::StatusCode, never 0
  std::string message;
  bool operator==(const EndNotif&) const = default;
};

/// Receiver → sender: these pages of a put have been in quarantine for a while; give them back.
struct DrainRequest {
  static constexpr const char* kType = "BatonDrainRequest";
  std::uint64_t put_id = 0;
  std::vector<std::uint32_t> pages;
  std::vector<std::uint64_t> generations;
  bool operator==(const DrainRequest&) const = default;
};

/// Sender → Baton proxy: this attempt has failed at one of its ranks and will not be decoded.
struct FailNotif {
  static constexpr const char* kType = "BatonFailNotif";
  std::string req_id;
  Epoch sender_epoch;
  std::uint64_t attempt = 0;
  std::uint32_t worker_id = 0;
  std::uint32_t code = 0;  ///< absl::StatusCode, never 0
  std::string message;
  bool operator==(const FailNotif&) const = default;
};

// ---- Baton's own, since version 3 ---------------------------------------------------------------

/// Reader (a sender) → receiver: hold those of these chunks that are committed, and say where they
/// are.
struct ReadRequest {
  static constexpr const char* kType = "BatonReadRequest";
  Parties parties;
  std::uint64_t read_id = 0;  ///< unique per sender epoch
  KeyList keys;
  std::uint32_t timeout_ms = 0;  ///< how long the read may take; at least 1
  bool operator==(const ReadRequest&) const = default;
};

/// What the receiver says of one key of a read.
enum class ReadState : std::uint8_t {
  kHit = 0,   ///< committed, and held until the read is released
  kMiss = 1,  ///< not here, or not now
};

/// Lists of equal length, one entry per key; digests may be empty instead.
struct ReadResponse {
  static constexpr const char* kType = "BatonReadResponse";
  std::uint64_t read_id = 0;
  std::uint32_t code = 0;  ///< absl::StatusCode; 0 is OK; otherwise the lists are empty
  std::string message;
  std::vector<ReadState> states;
  std::vector<std::uint32_t> pages;        ///< 0 where missed
  std::vector<std::uint64_t> generations;  ///< likewise
  std::vector<std::uint64_t> lengths;      ///< bytes; likewise
  std::vector<std::uint64_t> digests;      ///< as committed; empty where the receiver keeps none
  bool operator==(const ReadResponse&) const = default;
};

/// Reader → receiver: nothing of this read can touch the receiver's pages any more. Idempotent.
struct ReadRelease {
  static constexpr const char* kType = "BatonReadRelease";
  Parties parties;
  std::uint64_t read_id = 0;
  bool operator==(const ReadRelease&) const = default;
};

struct ReadReleaseAck {
  static constexpr const char* kType = "BatonReadReleaseAck";
  std::uint64_t read_id = 0;
  std::uint32_t code = 0;
  std::string message;
  bool operator==(const ReadReleaseAck&) const = default;
};

// Among the receivers of one TP group: the followers (ranks above 0) are clients of the leader's
// alloc port. In `parties` the sender is who sends.

/// Follower → leader, at a fixed pace: here I am, and these attempts live here. As with heartbeats,
/// at most Limits::max_named_requests in a message.
struct GroupJoin {
  static constexpr const char* kType = "BatonGroupJoin";
  Epoch epoch;
  std::uint32_t world_size = 0;
  std::uint32_t worker_id = 0;  ///< 1 … world_size - 1
  std::vector<AttemptName> living;
  bool operator==(const GroupJoin&) const = default;
};

struct GroupJoinAck {
  static constexpr const char* kType = "BatonGroupJoinAck";
  Epoch epoch;
  std::uint32_t code = 0;
  std::string message;
  std::vector<AttemptName> living;  ///< at the leader
  bool operator==(const GroupJoinAck&) const = default;
};

/// What is said of one attempt, between two members.
enum class GroupWord : std::uint8_t {
  kOpened = 0,    ///< follower: it waits here, and may fit now
  kReserve = 1,   ///< leader: reserve for it now, or refuse
  kReserved = 2,  ///< follower: done
  kRefused = 3,   ///< follower: no room now; kOpened comes again when there is
  kWithdraw = 4,  ///< leader: give the reservation back, another rank has no room
  kAdmitted = 5,  ///< leader: all ranks have reserved
  kEnded = 6,     ///< either: the attempt has failed, with code and message
};

struct GroupNotif {
  static constexpr const char* kType = "BatonGroupNotif";
  Parties parties;
  AttemptName attempt;
  GroupWord word = GroupWord::kOpened;
  std::uint64_t round = 0;  ///< the leader's count of its tries; echoed by kReserved and kRefused
  std::uint32_t code = 0;   ///< with kEnded never 0
  std::string message;
  bool operator==(const GroupNotif&) const = default;
};

// ---- Baton's own, since version 5 ---------------------------------------------------------------

/// Sender → receiver: grant me so many more pages, before I name keys for them.
struct AheadRequest {
  static constexpr const char* kType = "BatonAheadRequest";
  Parties parties;
  std::uint64_t sequence = 0;  ///< counts the sender's requests; echoed
  std::uint32_t count = 0;     ///< at least 1
  bool operator==(const AheadRequest&) const = default;
};

/// Receiver → sender: these, perhaps fewer, perhaps none.
struct AheadGrant {
  static constexpr const char* kType = "BatonAheadGrant";
  std::uint64_t sequence = 0;
  std::uint32_t code = 0;  ///< absl::StatusCode; 0 is OK; otherwise the lists are empty
  std::string message;
  std::vector<std::uint32_t> pages;
  std::vector<std::uint64_t> generations;
  bool operator==(const AheadGrant&) const = default;
};

using Message =
    std::variant<AllocRequest, AllocResponse, ProxyNotif, CancelNotif, CacheQueryRequest,
                 CacheQueryResponse, NixlInitRequest, NixlInitResponse, NixlMemRegRequest,
                 NixlMemRegResponse, Hello, Welcome, Refusal, OpenRequest, OpenResponse,
                 CommitRequest, CommitResponse, ChunkUpdate, DrainNotif, DrainAck, ReleaseNotif,
                 Heartbeat, HeartbeatAck, EndNotif, DrainRequest, FailNotif, GroupJoin,
                 GroupJoinAck, GroupNotif, ReadRequest, ReadResponse, ReadRelease, ReadReleaseAck,
                 AheadRequest, AheadGrant>;

}  // namespace baton::wire
