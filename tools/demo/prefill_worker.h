// A prefiller's process.
#pragma once

#include "src/base/unique_fd.h"

namespace baton::demo {

/// `socket`: to the proxy. Returns the exit status.
int run_prefill_worker(UniqueFd socket);

}  // namespace baton::demo
