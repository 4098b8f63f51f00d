// What the main process tells the reference run and the proxy before they begin.
#pragma once

#include <vector>

#include "tools/demo/message_pipe.h"
#include "tools/demo/messages.h"

namespace baton::demo {

struct Orders {
  Setup setup;
  std::vector<PlannedRequest> requests;  ///< a second turn stands behind its first
};

/// All of it at once, so that the main process never waits for the computing.
StatusOr<Orders> receive_orders(MessagePipe& pipe);

}  // namespace baton::demo
