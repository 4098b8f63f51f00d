// What a host's devices can reach, in a word that peers compare.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "src/transport/ucx/rdma_devices.h"

namespace baton::transport::ucx {

/// "ucx1" and the fabrics: "roce", "ib:<subnet prefix>", "tcp" (if `tcp_too`), after a blank each.
std::string make_offer(std::span<const RdmaDevice> devices, bool tcp_too);

/// Do both name a fabric that is the same? `theirs` is hostile input. Two RoCE networks look
/// alike, joined or not: only a connection can tell.
bool offers_meet(std::string_view ours, std::string_view theirs);

}  // namespace baton::transport::ucx
