// What a receiver must be told, in its own terms.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <span>
#include <string>

#include "baton/options.h"
#include "src/base/protocol_version.h"
#include "src/base/scheduler.h"
#include "src/wire/limits.h"
#include "src/wire/messages.h"

namespace baton::receiver {

struct Config {
  std::string init_endpoint;  ///< "tcp://host:port"
  std::string alloc_endpoint;
  /// Where LMCache's peers ask what is cached; empty: nowhere. Only with a stock plane.
  std::string query_endpoint;
  wire::LayoutInfo layout;
  wire::Limits limits;
  Integrity integrity = Integrity::kFull;
  bool poison_pages = false;
  /// The alloc endpoint of rank 0, if the ranks of layout.world_size admit together; at rank 0
  /// itself any text. Empty: every receiver admits for itself.
  std::string group_leader;
  VersionRange versions = kProtocolVersions;
  std::uint32_t max_open_requests = 4'096;
  /// Of one sender: requests, waiting ones included, and their chunks; 0: no limit. As many chunks
  /// again for its reads.
  std::uint32_t max_peer_requests = 1'024;
  std::uint32_t max_peer_chunks = 0;
  /// Pages that one sender may have ahead; 0: none.
  std::uint32_t max_peer_ahead = 64;
  /// Reads of one reader under way.
  std::uint32_t max_peer_reads = 256;
  /// How long silence is trusted: of a sender, about one of its requests, about a drain.
  Duration lease = std::chrono::seconds(10);
  Duration max_admission_wait = std::chrono::minutes(1);
  /// A complete request that nobody claims ends after this long.
  Duration claim_ttl = std::chrono::minutes(5);
};

/// Deliberate damage, for tests and `baton demo --corrupt…`. Empty in production.
struct FaultHooks {
  /// After remote completion, before the digest is checked.
  absl::AnyInvocable<void(std::span<std::byte> chunk)> before_verify;
  /// After the commit.
  absl::AnyInvocable<void(std::span<std::byte> chunk)> after_commit;
};

}  // namespace baton::receiver
