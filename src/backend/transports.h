// Which data transports a backend has.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "baton/options.h"
#include "baton/status.h"
#include "src/base/epoch.h"
#include "src/base/scheduler.h"
#include "src/memory/registered_buffer.h"
#include "src/transport/nixl/nixl_options.h"
#include "src/transport/stock_plane.h"
#include "src/transport/transport.h"

namespace baton {

/// Those that `options` allow and this host has, with `buffer` attached, best first. A transport
/// that is asked for by name and can't be had is an error; `auto` goes on without ucx. On the loop.
StatusOr<std::vector<std::unique_ptr<transport::Transport>>> make_transports_on_loop(
    Reactor& reactor, const Epoch& self, const Options& options, std::uint32_t worker_id,
    RegisteredBuffer& buffer);

/// What both users of NIXL are told: the transport, which adds its line, and the stock plane.
transport::NixlOptions nixl_options(const Options& options);

/// Null if stock peers are refused; kUnimplemented if this Baton was built without NIXL. On the
/// loop.
StatusOr<std::unique_ptr<transport::StockPlane>> make_stock_plane_on_loop(Reactor& reactor,
                                                                          const Epoch& self,
                                                                          const Options& options,
                                                                          RegisteredBuffer& buffer);

}  // namespace baton
