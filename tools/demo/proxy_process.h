// The proxy's process: binds the ProxyNotif socket, starts the workers, drives the run.
#pragma once

#include "src/base/unique_fd.h"

namespace baton::demo {

/// `socket`: to the main process. Returns the exit status.
int run_proxy(UniqueFd socket);

}  // namespace baton::demo
