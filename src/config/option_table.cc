#include "src/config/option_table.h"

#include <array>

#include "src/base/protocol_version.h"

namespace baton::config {
namespace {

constexpr Range kNone{};
constexpr Range kPort{0, UINT16_MAX};
constexpr Range kTimeMs{1, 24ULL * 60 * 60 * 1000};
constexpr Range kCount{1, 1U << 20U};
constexpr Range kLeaseMs{100, 60ULL * 60 * 1000};
/// The longest blob of a message (wire::Limits).
constexpr Range kEagerBytes{0, 1U << 20U};
constexpr Range kCopyHelpers{0, 16};
constexpr Range kPagesAhead{0, 16'384};
constexpr Range kVersion{kProtocolVersions.min, kProtocolVersions.max};
constexpr Range kBufferBytes{1, 1ULL << 46U};
constexpr Range kMessageBytes{1U << 10U, 1U << 30U};

constexpr std::string_view kFinite = "every wait of Baton's ends";

constexpr std::array kTable{
    // LMCache's keys.
    OptionRow{"enable_pd", Origin::kLmcache, OnlyValue{OnlyValue::Kind::kBool, "true"}, kNone,
              "LMCache's switch; true if it is there at all", "a Baton back end does nothing else"},
    OptionRow{
        "pd_role", Origin::kLmcache, &Options::pd_role, kNone,
        "sender: prefill, puts and reads chunks; receiver: decode, holds the pages; both: one "
        "process that does either"},
    OptionRow{"pd_buffer_size", Origin::kLmcache, &Options::pd_buffer_size, kBufferBytes,
              "bytes of the registered buffer: a sender's staging, a receiver's pages; "
              "must be given"},
    OptionRow{"pd_buffer_device", Origin::kLmcache, OnlyValue{OnlyValue::Kind::kText, "cpu"}, kNone,
              "where the buffer lives", "CUDA memory is not supported yet"},
    OptionRow{"pd_peer_host", Origin::kLmcache, &Options::pd_peer_host, kNone,
              "receiver: the address that its ports are bound to"},
    OptionRow{"pd_peer_init_port", Origin::kLmcache, &Options::pd_peer_init_port, kPort,
              "receiver: the handshake's port, one per rank; 0 asks for any"},
    OptionRow{"pd_peer_alloc_port", Origin::kLmcache, &Options::pd_peer_alloc_port, kPort,
              "receiver: the allocation port, one per rank; 0 asks for any"},
    OptionRow{"pd_peer_query_port", Origin::kLmcache, &Options::pd_peer_query_port, kPort,
              "receiver: where LMCache's peers ask what is cached, one per rank; used with "
              "pd_stock_peers: allow"},
    OptionRow{"pd_proxy_host", Origin::kLmcache, &Options::pd_proxy_host, kNone,
              "sender: the proxy that is told when a request may be decoded; empty: none is"},
    OptionRow{"pd_proxy_port", Origin::kLmcache, &Options::pd_proxy_port, kPort,
              "sender: the proxy's port; needed with pd_proxy_host"},
    OptionRow{"pd_skip_proxy_notification", Origin::kLmcache, &Options::pd_skip_proxy_notification,
              kNone, "sender: never tell the proxy"},
    OptionRow{
        "pd_bidirectional", Origin::kLmcache, &Options::pd_bidirectional, kNone,
        "LMCache's: a prefiller looks in the decoder's cache; changes nothing, every sender can "
        "read"},
    OptionRow{"pd_allocation_timeout_sec", Origin::kLmcache,
              Seconds{&Options::pd_admission_timeout_ms, "pd_admission_timeout_ms"}, kTimeMs,
              "pd_admission_timeout_ms in seconds", kFinite},
    OptionRow{"pd_shutdown_timeout_sec", Origin::kLmcache,
              Seconds{&Options::pd_shutdown_timeout_ms, "pd_shutdown_timeout_ms"}, kTimeMs,
              "pd_shutdown_timeout_ms in seconds", kFinite},
    OptionRow{"pd_condition_poll_interval_sec", Origin::kLmcache, Unused::kNumber, kNone,
              "accepted, not used", "", "Baton waits for events and polls nothing"},
    OptionRow{"pd_max_prefill_len", Origin::kLmcache, &Options::pd_max_prefill_len,
              Range{0, UINT32_MAX}, "longest prompt in tokens; 0: unchecked"},
    OptionRow{"transfer_channel", Origin::kLmcache, Unused::kText, kNone, "accepted, not used", "",
              "pd_transport chooses Baton's transport"},
    OptionRow{"nixl_backends", Origin::kLmcache, Unused::kTexts, kNone, "accepted, not used", "",
              "pd_transport chooses Baton's transport"},
    OptionRow{"chunk_size", Origin::kLmcache, &Options::chunk_size, kCount, "tokens in a chunk"},
    OptionRow{"save_unfull_chunk", Origin::kLmcache, &Options::save_unfull_chunk, kNone,
              "hand over a last chunk that is not full"},

    // Baton's own.
    OptionRow{"pd_staging_buffer_size", Origin::kBaton, &Options::pd_staging_buffer_size,
              Range{0, kBufferBytes.max},
              "both: how much of pd_buffer_size is the sender's staging; 0: half of it"},
    OptionRow{"pd_peer_data_port", Origin::kBaton, &Options::pd_peer_data_port, kPort,
              "receiver: the tcp transport's port, one per rank; none or 0 asks for any"},
    OptionRow{
        "pd_peer_ucx_port", Origin::kBaton, &Options::pd_peer_ucx_port, kPort,
        "receiver: the TCP port at which ucx or nixl connections begin, one per rank; none or "
        "0 asks for any"},
    OptionRow{
        "pd_proxy_kind", Origin::kBaton, &Options::pd_proxy_kind, kNone,
        "sender: what listens there; baton hears of failures too, stock knows ProxyNotif alone"},
    OptionRow{"pd_group_leader_host", Origin::kBaton, &Options::pd_group_leader_host, kNone,
              "receiver of a TP group: rank 0's address; empty: pd_peer_host"},
    OptionRow{"pd_stock_peers", Origin::kBaton, &Options::pd_stock_peers, kNone,
              "allow: LMCache's own senders and receivers, over NIXL (docs/interop.md says what "
              "then holds)"},
    OptionRow{
        "pd_transport", Origin::kBaton, &Options::pd_transport, kNone,
        "how bytes travel; auto: the best of shm, ucx and tcp that both sides have; ucx: RDMA "
        "(docs/rdma.md); nixl: by NIXL, if built with it (docs/interop.md)"},
    OptionRow{"pd_ucx_rails", Origin::kBaton, &Options::pd_ucx_rails, kNone,
              "RDMA devices that a put is spread over, as UCX_NET_DEVICES names them; none: UCX "
              "chooses one"},
    OptionRow{"insecure_data_plane", Origin::kBaton, &Options::insecure_data_plane, kNone,
              "lets ucx and nixl write over TCP, for experiments: whoever can connect can write "
              "anywhere in "
              "the process"},
    OptionRow{"pd_integrity", Origin::kBaton, &Options::pd_integrity, kNone,
              "digests: full verifies before a commit is acknowledged, paranoid again at claim, "
              "off is for measuring"},
    OptionRow{"pd_poison_pages", Origin::kBaton, &Options::pd_poison_pages, kNone,
              "receiver: fill a page with 0xDB before it is granted; for tests"},
    OptionRow{"busy_poll", Origin::kBaton, &Options::busy_poll, kNone,
              "spin before sleeping: lower latency for a core that is never idle"},
    OptionRow{"pd_security", Origin::kBaton, &Options::pd_security, kNone,
              "curve: only who has an allowed key is heard (docs/security.md); none: whoever "
              "reaches the ports"},
    OptionRow{"pd_secret_key_file", Origin::kBaton, FilePath{&Options::pd_secret_key_file}, kNone,
              "this process's own key, mode 0600; needed with curve"},
    OptionRow{
        "pd_peer_keys_file", Origin::kBaton, FilePath{&Options::pd_peer_keys_file}, kNone,
        "public keys of the fleet with roles and addresses, read at start; needed with curve"},
    OptionRow{"pd_proxy_plain", Origin::kBaton, &Options::pd_proxy_plain, kNone,
              "sender: the proxy is a stock LMCache one, told without keys and in the clear"},
    OptionRow{"pd_handshake_timeout_ms", Origin::kBaton, &Options::pd_handshake_timeout_ms, kTimeMs,
              "how long meeting a peer may take", kFinite},
    OptionRow{"pd_admission_timeout_ms", Origin::kBaton, &Options::pd_admission_timeout_ms, kTimeMs,
              "how long a request may wait for pages and staging", kFinite},
    OptionRow{"pd_put_timeout_ms", Origin::kBaton, &Options::pd_put_timeout_ms, kTimeMs,
              "how long a put may take, waiting for admission excluded", kFinite},
    OptionRow{"pd_read_timeout_ms", Origin::kBaton, &Options::pd_read_timeout_ms, kTimeMs,
              "how long a read may take; a receiver takes none longer than its pd_claim_ttl_ms",
              kFinite},
    OptionRow{"pd_request_idle_timeout_ms", Origin::kBaton, &Options::pd_request_idle_timeout_ms,
              kTimeMs, "sender: an open request without a put for this long is cancelled", kFinite},
    OptionRow{"pd_lease_ms", Origin::kBaton, &Options::pd_lease_ms, kLeaseMs,
              "how long a peer's silence is trusted; heartbeats come four times in it; at least "
              "pd_drain_timeout_ms",
              kFinite},
    OptionRow{"pd_drain_timeout_ms", Origin::kBaton, &Options::pd_drain_timeout_ms, kTimeMs,
              "how long a failed put may wait for its own writes before the connection is cut",
              kFinite},
    OptionRow{
        "pd_ucx_stall_timeout_ms", Origin::kBaton, &Options::pd_ucx_stall_timeout_ms, kTimeMs,
        "how long RDMA writes, or NIXL's, to a receiver may stand still before its connection is "
        "cut",
        kFinite},
    OptionRow{"pd_claim_timeout_ms", Origin::kBaton, &Options::pd_claim_timeout_ms, kTimeMs,
              "how long a claim waits for its chunks; at least pd_put_timeout_ms", kFinite},
    OptionRow{"pd_claim_ttl_ms", Origin::kBaton, &Options::pd_claim_ttl_ms, kTimeMs,
              "receiver: a complete request that nobody claims ends after this; at least "
              "pd_claim_timeout_ms",
              kFinite},
    OptionRow{"pd_shutdown_timeout_ms", Origin::kBaton, &Options::pd_shutdown_timeout_ms, kTimeMs,
              "how long close() waits for what is under way", kFinite},
    OptionRow{"pd_max_message_bytes", Origin::kBaton, &Options::pd_max_message_bytes, kMessageBytes,
              "longest control message"},
    OptionRow{"pd_max_keys", Origin::kBaton, &Options::pd_max_keys, kCount, "keys in one message"},
    OptionRow{"pd_max_open_requests", Origin::kBaton, &Options::pd_max_open_requests, kCount,
              "receiver: requests that are live or waiting"},
    OptionRow{"pd_max_peer_requests", Origin::kBaton, &Options::pd_max_peer_requests, kCount,
              "receiver: requests of one sender that are live or waiting"},
    OptionRow{"pd_max_peer_chunks", Origin::kBaton, &Options::pd_max_peer_chunks,
              Range{0, UINT32_MAX},
              "receiver: chunks, each a hold and a page, of one sender's requests, and as many of "
              "its reads; 0: no limit"},
    OptionRow{"pd_max_peer_reads", Origin::kBaton, &Options::pd_max_peer_reads, kCount,
              "receiver: reads of one reader that are held"},
    OptionRow{"pd_max_puts", Origin::kBaton, &Options::pd_max_puts, kCount,
              "sender: puts and reads under way"},
    OptionRow{"pd_eager_bytes", Origin::kBaton, &Options::pd_eager_bytes, kEagerBytes,
              "sender: a put of no more bytes brings them along with its request for pages, which "
              "saves round trips; 0: none does"},
    OptionRow{"pd_copy_helpers", Origin::kBaton, &Options::pd_copy_helpers, kCopyHelpers,
              "sender: threads beside the progress thread that take part in large copies over shm, "
              "never more than there are other processors; 0: none"},
    OptionRow{"pd_pages_ahead", Origin::kBaton, &Options::pd_pages_ahead, kPagesAhead,
              "sender: pages that it keeps ahead of each receiver on its host, for small puts; 0: "
              "none, and no request lies in place"},
    OptionRow{"pd_max_peer_pages_ahead", Origin::kBaton, &Options::pd_max_peer_pages_ahead,
              kPagesAhead, "receiver: pages that one sender may have ahead; 0: none"},
    OptionRow{"pd_protocol_min", Origin::kBaton, &Options::pd_protocol_min, kVersion,
              "oldest version of Baton's protocol that is spoken"},
    OptionRow{"pd_protocol_max", Origin::kBaton, &Options::pd_protocol_max, kVersion,
              "newest version of Baton's protocol that is spoken"},
};

}  // namespace

std::span<const OptionRow> option_table() {
  return kTable;
}

}  // namespace baton::config
