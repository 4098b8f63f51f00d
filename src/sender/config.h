// What a sender must be told, in its own terms.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "baton/options.h"
#include "src/base/protocol_version.h"
#include "src/base/scheduler.h"
#include "src/wire/limits.h"
#include "src/wire/messages.h"

namespace baton::sender {

struct Config {
  Epoch epoch;
  wire::LayoutInfo layout;
  wire::Limits limits;
  VersionRange versions = kProtocolVersions;
  std::string proxy_endpoint;  ///< "tcp://host:port", or empty: nobody is told
  ProxyKind proxy_kind = ProxyKind::kStock;
  Duration handshake_timeout = std::chrono::seconds(5);
  Duration admission_timeout = std::chrono::minutes(1);
  Duration put_timeout = std::chrono::seconds(30);
  Duration drain_timeout = std::chrono::seconds(2);
  /// How long a receiver's silence is trusted.
  Duration lease = std::chrono::seconds(10);
  /// Puts of no more bytes than this bring them along with their request for pages; 0: none does.
  std::size_t eager_bytes = 0;
  /// Pages that are kept ahead of each receiver whose memory is mapped here; 0: none.
  std::uint32_t pages_ahead = 0;
  /// Puts of no more bytes than this are written into pages ahead, where there are enough. What
  /// lies in place is verified at once up to this, otherwise in slices.
  std::size_t ahead_bytes = wire::kMaxBytesAtOnce;
  /// An open request without a put under way is cancelled after this long.
  Duration request_idle_timeout = std::chrono::minutes(2);
};

/// Deliberate damage, for tests and `baton demo --drop-put`. Empty in production.
struct FaultHooks {
  /// True: the chunk's bytes are not written, and everything else goes on as if they had been.
  absl::AnyInvocable<bool(std::string_view key)> drop_write;
};

}  // namespace baton::sender
