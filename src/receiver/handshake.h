// Whether a sender may hand KV to this receiver, and over which transport.
#pragma once

#include <cstdint>
#include <span>

#include "baton/status.h"
#include "src/base/protocol_version.h"
#include "src/transport/transport.h"
#include "src/wire/messages.h"

namespace baton::receiver {

/// The highest version that both sides speak; kFailedPrecondition naming both ranges.
StatusOr<std::uint32_t> choose_version(const wire::Hello& hello, const VersionRange& own);

/// kFailedPrecondition naming the first field that differs, with both sides' values. The chunk's
/// worker must be the receiver's: equal parallelism only, for now.
Status check_layout(const wire::LayoutInfo& sender, const wire::LayoutInfo& receiver);

/// The first of the receiver's transports (in its order of preference) that the sender offers and
/// that can serve it; kFailedPrecondition naming both lists.
StatusOr<transport::Transport*> choose_transport(const wire::Hello& hello,
                                                 std::span<transport::Transport* const> transports);

}  // namespace baton::receiver
