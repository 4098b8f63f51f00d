// The run that the handoff is compared with: one process, no cache, the same chunks.
#pragma once

#include "src/base/unique_fd.h"

namespace baton::demo {

/// `socket`: to the main process. Returns the exit status.
int run_reference(UniqueFd socket);

}  // namespace baton::demo
