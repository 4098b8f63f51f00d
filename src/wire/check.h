// What a message's fields must be to each other: the checks that no single field can make.
#pragma once

#include "baton/status.h"
#include "src/wire/messages.h"

namespace baton::wire {

/// kInvalidArgument naming the field. Allocates no more than a shape.
Status check(const AllocRequest& message);
Status check(const AllocResponse& message);
Status check(const CacheQueryResponse& message);
Status check(const Hello& message);
Status check(const Welcome& message);
Status check(const Refusal& message);
Status check(const OpenRequest& message);
Status check(const OpenResponse& message);
Status check(const CommitRequest& message);
Status check(const CommitResponse& message);
Status check(const ChunkUpdate& message);
Status check(const DrainNotif& message);
Status check(const DrainAck& message);
Status check(const HeartbeatAck& message);
Status check(const EndNotif& message);
Status check(const DrainRequest& message);
Status check(const FailNotif& message);
Status check(const GroupJoin& message);
Status check(const GroupJoinAck& message);
Status check(const GroupNotif& message);
Status check(const ReadRequest& message);
Status check(const ReadResponse& message);
Status check(const ReadReleaseAck& message);
Status check(const AheadRequest& message);
Status check(const AheadGrant& message);

/// Messages of which each field may be anything that its type can be.
inline Status check(const ProxyNotif& /*message*/) {
  return absl::OkStatus();
}
inline Status check(const CancelNotif& /*message*/) {
  return absl::OkStatus();
}
inline Status check(const CacheQueryRequest& /*message*/) {
  return absl::OkStatus();
}
inline Status check(const NixlInitRequest& /*message*/) {
  return absl::OkStatus();
}
inline Status check(const NixlInitResponse& /*message*/) {
  return absl::OkStatus();
}
inline Status check(const NixlMemRegRequest& /*message*/) {
  return absl::OkStatus();
}
inline Status check(const NixlMemRegResponse& /*message*/) {
  return absl::OkStatus();
}
inline Status check(const ReleaseNotif& /*message*/) {
  return absl::OkStatus();
}
inline Status check(const ReadRelease& /*message*/) {
  return absl::OkStatus();
}
inline Status check(const Heartbeat& /*message*/) {
  return absl::OkStatus();
}

}  // namespace baton::wire
