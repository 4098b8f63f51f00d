// Configuration: LMCache's own key names plus Baton's additions.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "baton/status.h"

namespace baton {

enum class Role : std::uint8_t { kSender, kReceiver, kBoth };
constexpr bool sends(Role role) {
  return role != Role::kReceiver;
}
constexpr bool receives(Role role) {
  return role != Role::kSender;
}
enum class TransportChoice : std::uint8_t { kAuto, kShm, kTcp, kUcx, kNixl };
/// What listens at pd_proxy_host. LMCache's proxy knows ProxyNotif alone; Baton's also hears of
/// failures.
enum class ProxyKind : std::uint8_t { kStock, kBaton };
/// LMCache's own senders and receivers, which know none of Baton's messages; docs/interop.md.
enum class StockPeers : std::uint8_t { kRefuse, kAllow };
enum class Integrity : std::uint8_t {
  kOff,       ///< no digests; for measuring only
  kFull,      ///< verified before the commit is acknowledged
  kParanoid,  ///< and again at claim
};

enum class Security : std::uint8_t {
  kNone,   ///< whoever reaches the ports is heard
  kCurve,  ///< keys and encryption on the control plane, keys on the data planes
};

/// Everything a PdBackend can be told. Each member is the YAML key of the same name; the README's
/// table has ranges and meanings. validate() is called by PdBackend::create.
struct Options {
  Role pd_role = Role::kReceiver;
  /// Size of the registered buffer (a sender's staging, a receiver's pages), bytes. Rounded down
  /// to whole pages; must hold at least one.
  std::size_t pd_buffer_size = 0;
  /// With pd_role: both: how much of it is staging, bytes; 0: half. The rest is the receiver's.
  std::size_t pd_staging_buffer_size = 0;
  /// LMCache's: a prefiller looks in the decoder's cache. Changes nothing: every sender can read.
  bool pd_bidirectional = false;
  /// Receiver: the address that init, alloc and data ports are bound to.
  std::string pd_peer_host = "127.0.0.1";
  /// One port per TP rank, indexed by the worker id. 0 asks for any (single rank, tests).
  std::vector<std::uint16_t> pd_peer_init_port;
  std::vector<std::uint16_t> pd_peer_alloc_port;
  /// Receiver with pd_stock_peers: the port per rank at which LMCache's peers ask what is cached;
  /// empty: none.
  std::vector<std::uint16_t> pd_peer_query_port;
  /// Receiver: the tcp transport's port per rank; empty or 0 asks for any.
  std::vector<std::uint16_t> pd_peer_data_port;
  /// Receiver: the TCP port per rank at which connections of the ucx, or nixl, transport begin;
  /// empty or 0 asks for any.
  std::vector<std::uint16_t> pd_peer_ucx_port;
  /// Receiver of a TP group (world_size above 1): rank 0's address; empty: pd_peer_host. Rank 0
  /// admits for all; the others reach it at its pd_peer_alloc_port.
  std::string pd_group_leader_host;
  /// Sender: where ProxyNotif goes; an empty host sends none.
  std::string pd_proxy_host;
  std::uint16_t pd_proxy_port = 0;
  ProxyKind pd_proxy_kind = ProxyKind::kStock;
  bool pd_skip_proxy_notification = false;

  std::uint32_t chunk_size = 256;  ///< tokens
  bool save_unfull_chunk = true;
  std::uint32_t pd_max_prefill_len = 0;  ///< tokens; 0: unchecked

  /// allow needs a Baton with NIXL, and no pd_security.
  StockPeers pd_stock_peers = StockPeers::kRefuse;

  TransportChoice pd_transport = TransportChoice::kAuto;
  /// One rail of the ucx transport for each entry: RDMA devices as UCX_NET_DEVICES names them,
  /// "mlx5_0:1". A put is spread over all rails. Empty: one rail, which UCX chooses.
  std::vector<std::string> pd_ucx_rails;
  /// Lets ucx, and NIXL, use TCP where there is no RDMA. For experiments: whoever can connect
  /// can then write anywhere in this process.
  bool insecure_data_plane = false;
  Integrity pd_integrity = Integrity::kFull;
  /// Receiver: fills a page with 0xDB before it is granted, so that a missing write can't look
  /// like an old chunk. For tests and demonstrations.
  bool pd_poison_pages = false;
  /// Spin for a while before sleeping: lower latency for a core that is rarely idle.
  bool busy_poll = false;

  // Keys; docs/security.md.
  Security pd_security = Security::kNone;
  /// This process's own key: NAME.secret of `baton keys generate`, readable by its owner only.
  std::string pd_secret_key_file;
  /// The public keys of the fleet, their roles and addresses. Read once, at start.
  std::string pd_peer_keys_file;
  /// Sender: the proxy is a stock LMCache one; what it is told is neither secret nor proven.
  bool pd_proxy_plain = false;

  // Time limits: all finite, all above 0.
  std::chrono::milliseconds pd_handshake_timeout_ms{5'000};
  /// How long a request may wait for admission (receiver pages, then sender staging).
  /// LMCache's pd_allocation_timeout_sec sets it too.
  std::chrono::milliseconds pd_admission_timeout_ms{60'000};
  /// From a put's submission to its end, waiting for admission excluded.
  std::chrono::milliseconds pd_put_timeout_ms{30'000};
  /// From a read's submission to its end.
  std::chrono::milliseconds pd_read_timeout_ms{30'000};
  /// Sender: an open request without a put under way, whose last put never came, is cancelled.
  std::chrono::milliseconds pd_request_idle_timeout_ms{120'000};
  /// How long silence is trusted: of a peer, about a request, about a page that should be given
  /// back. Heartbeats come four times in it.
  std::chrono::milliseconds pd_lease_ms{10'000};
  /// How long a failed put may wait for its own writes before the connection is cut.
  std::chrono::milliseconds pd_drain_timeout_ms{2'000};
  /// Default deadline of claim and get_blocking.
  std::chrono::milliseconds pd_claim_timeout_ms{60'000};
  /// Receiver: a request that is complete, but that nobody claims, ends after this long.
  std::chrono::milliseconds pd_claim_ttl_ms{300'000};
  /// How long RDMA writes to a receiver may stand still before its connection is cut.
  std::chrono::milliseconds pd_ucx_stall_timeout_ms{10'000};
  /// How long close() waits for what is under way.
  std::chrono::milliseconds pd_shutdown_timeout_ms{5'000};

  // Bounds.
  std::size_t pd_max_message_bytes = 8U << 20U;
  std::uint32_t pd_max_keys = 65'536;          ///< keys in one message
  std::uint32_t pd_max_open_requests = 4'096;  ///< live and waiting, per receiver
  std::uint32_t pd_max_peer_requests = 1'024;  ///< live and waiting, of one sender
  std::uint32_t pd_max_peer_chunks = 0;        ///< of one sender's requests; 0: no limit of its own
  std::uint32_t pd_max_peer_reads = 256;       ///< held for one reader
  std::uint32_t pd_max_puts = 4'096;           ///< and reads, under way, per sender

  /// Sender: puts of no more chunk bytes than this bring them along with their request for pages
  /// (docs/protocol.md, "Eager puts"); 0: none does.
  std::uint32_t pd_eager_bytes = 65'536;

  /// Sender: threads beside the progress thread that take part in large copies over shared memory;
  /// 0: none. There are never more than the machine has other processors.
  std::uint32_t pd_copy_helpers = 1;
  /// Sender: pages that it keeps ahead of each receiver on its host, so that a small put needs only
  /// be told of (docs/protocol.md, "Pages ahead"); 0: none, and no request lies in place.
  std::uint32_t pd_pages_ahead = 16;
  /// Receiver: pages that one sender may have ahead; 0: none.
  std::uint32_t pd_max_peer_pages_ahead = 64;

  // Versions of the protocol: a fleet is upgraded one process at a time.
  std::uint32_t pd_protocol_min = 1;
  std::uint32_t pd_protocol_max = 5;

  /// kInvalidArgument naming key, value and allowed range.
  Status validate() const;
};

/// Options from YAML text, with notes for the log on keys that mean nothing here.
struct ParsedOptions {
  Options options;
  std::vector<std::string> notes;
};

/// Variables of an environment by name; those that begin with LMCACHE_ count.
using Environment = std::map<std::string, std::string>;

/// This process's LMCACHE_* variables. No other thread may change the environment meanwhile.
Environment lmcache_environment();

/// Keys as LMCache spells them, now and in older versions, with Baton's additions; keys of
/// LMCache's that mean nothing here are named in a note, an unknown key is an error that names it
/// and the closest known one. LMCACHE_<KEY> in `environment` overrides a key, as in LMCache
/// (docs/configuration.md). Validates. `origin` (a file name) is put before every message.
StatusOr<ParsedOptions> parse_options(std::string_view yaml, std::string_view origin,
                                      const Environment& environment = {});
StatusOr<ParsedOptions> load_options(const std::string& path, const Environment& environment = {});
/// From the file that LMCACHE_CONFIG_FILE names, if it is there, and LMCACHE_<KEY>. LMCache's way
/// to start: load_options_from_environment(lmcache_environment()).
StatusOr<ParsedOptions> load_options_from_environment(const Environment& environment);

}  // namespace baton
