// Deliberate damage, for tests and the demo's failing controls. Not installed.
#pragma once

#include <functional>
#include <memory>

#include "src/base/scheduler.h"
#include "src/memory/registered_buffer.h"
#include "src/receiver/config.h"
#include "src/sender/config.h"
#include "src/transport/stock_plane.h"

namespace baton {

/// Hooks run on the progress thread. PdBackend::create takes them out of here.
struct FaultInjection {
  sender::FaultHooks sender;
  receiver::FaultHooks receiver;
  /// With pd_stock_peers: allow, instead of NIXL; called on the loop.
  std::function<std::unique_ptr<transport::StockPlane>(Reactor& loop, RegisteredBuffer& buffer)>
      stock_plane;
};

}  // namespace baton
