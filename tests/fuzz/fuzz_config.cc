// A configuration: options within their ranges, or an error that says where.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "baton/options.h"
#include "tests/fuzz/require.h"

namespace {

using baton::fuzz::require;

/// What the rest of Baton relies on, said once more.
void check(const baton::Options& o) {
  require(o.validate().ok(), "what is accepted is valid");
  require(o.pd_buffer_size > 0 && o.chunk_size > 0, "there is a buffer, of chunks");
  require(o.pd_max_message_bytes > 0 && o.pd_max_keys > 0 && o.pd_max_puts > 0, "bounds");
  require(o.pd_max_open_requests > 0 && o.pd_max_peer_requests > 0, "bounds on requests");
  for (const std::chrono::milliseconds limit :
       {o.pd_handshake_timeout_ms, o.pd_admission_timeout_ms, o.pd_put_timeout_ms,
        o.pd_request_idle_timeout_ms, o.pd_lease_ms, o.pd_drain_timeout_ms, o.pd_claim_timeout_ms,
        o.pd_claim_ttl_ms, o.pd_shutdown_timeout_ms}) {
    require(limit.count() > 0 && limit < std::chrono::hours(24 * 366), "every wait ends");
  }
  require(o.pd_protocol_min > 0 && o.pd_protocol_min <= o.pd_protocol_max, "versions");
  if (o.pd_role == baton::Role::kReceiver) {
    require(!o.pd_peer_host.empty(), "a receiver has an address");
    require(o.pd_peer_init_port.size() == o.pd_peer_alloc_port.size(), "ports of each rank");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto parsed = baton::parse_options(text, "fuzz.yaml");
  if (!parsed.ok()) {
    require(parsed.status().code() == baton::StatusCode::kInvalidArgument, "an error of one kind");
    const std::string_view message(parsed.status().message().data(),
                                   parsed.status().message().size());
    require(message.starts_with("fuzz.yaml:"), "an error that names its origin");
    require(message.size() < 2048, "an error that fits a log line");
    return 0;
  }
  check(parsed->options);
  for (const std::string& note : parsed->notes) {
    require(note.size() < 2048, "a note that fits a log line");
  }
  return 0;
}
