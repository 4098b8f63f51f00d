// A configuration: options within their ranges, or an error that says where.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "baton/options.h"
#include "src/config/option_text.h"
#include "src/config/read_config.h"
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
        o.pd_read_timeout_ms, o.pd_request_idle_timeout_ms, o.pd_lease_ms, o.pd_drain_timeout_ms,
        o.pd_claim_timeout_ms, o.pd_claim_ttl_ms, o.pd_shutdown_timeout_ms}) {
    require(limit.count() > 0 && limit < std::chrono::hours(24 * 366), "every wait ends");
  }
  require(o.pd_staging_buffer_size < o.pd_buffer_size, "pages of the receiver's, or of no other");
  require(o.pd_protocol_min > 0 && o.pd_protocol_min <= o.pd_protocol_max, "versions");
  if (baton::receives(o.pd_role)) {
    require(!o.pd_peer_host.empty(), "a receiver has an address");
    require(o.pd_peer_init_port.size() == o.pd_peer_alloc_port.size(), "ports of each rank");
  }
}

/// "NAME=VALUE" lines.
baton::Environment environment_of(std::string_view lines) {
  baton::Environment environment;
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    const std::size_t equals = line.find('=');
    if (equals != std::string_view::npos) {
      environment.emplace(line.substr(0, equals), line.substr(equals + 1));
    }
    lines.remove_prefix(std::min(line.size() + 1, lines.size()));
  }
  return environment;
}

void check_error(const baton::Status& status) {
  require(status.code() == baton::StatusCode::kInvalidArgument, "an error of one kind");
  const std::string message(status.message());
  require(message.starts_with("fuzz.yaml:") || message.starts_with("environment: LMCACHE_"),
          "an error that names its origin");
  require(message.size() < 2048, "an error that fits a log line");
}

/// What `baton config check` shows of it.
void check_history(const baton::config::Resolution& resolution) {
  for (const baton::config::Setting& setting : resolution.settings) {
    require(setting.row != nullptr, "every value has a key");
    const std::string value = baton::config::value_text(*setting.row, resolution.options);
    const bool is_given = setting.place.source != baton::config::Source::kDefault;
    require(is_given || value == baton::config::default_text(*setting.row),
            "what nothing set has its default");
    require(is_given == !setting.place.name.empty(), "what is given was written somewhere");
  }
  for (const baton::Status& error : resolution.errors) {
    check_error(error);
  }
}

}  // namespace

/// A file; after a zero byte, an environment.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(input.find('\0'), input.size());
  const std::string_view text = input.substr(0, end);
  const baton::Environment environment =
      environment_of(input.substr(std::min(end + 1, input.size())));
  const auto history = baton::config::read_config(text, "fuzz.yaml", environment);
  const auto parsed = baton::parse_options(text, "fuzz.yaml", environment);
  require(parsed.ok() == (history.ok() && history->errors.empty()), "both say whether it starts");
  if (history.ok()) {
    check_history(*history);
  }
  if (!parsed.ok()) {
    check_error(parsed.status());
    return 0;
  }
  check(parsed->options);
  for (const std::string& note : parsed->notes) {
    require(note.size() < 8192, "a note that fits a log line");
  }
  return 0;
}
