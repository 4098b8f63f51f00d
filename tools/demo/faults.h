// The failing controls' deliberate damage.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "src/backend/fault_injection.h"
#include "tools/demo/messages.h"

namespace baton::demo {

/// Counts the chunks that were damaged. Outlives the backend that the hooks are given to.
using FaultCount = std::shared_ptr<std::atomic<std::uint32_t>>;

/// Hooks that damage the `setup.fault_at_chunk`th chunk that passes, and no other; none of them if
/// `setup.fault` is of the other side or none.
FaultInjection make_faults(const Setup& setup, const FaultCount& damaged);

}  // namespace baton::demo
