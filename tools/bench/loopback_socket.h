// TCP between two processes of the benchmark, on loopback.
#pragma once

#include <cstdint>

#include "src/base/unique_fd.h"

namespace baton::bench {

struct LoopbackListener {
  UniqueFd socket;
  std::uint16_t port = 0;
};

/// All throw Failed. The sockets block and send without delay.
LoopbackListener listen_on_loopback();
UniqueFd accept_one(const LoopbackListener& listener);
UniqueFd connect_to_loopback(std::uint16_t port);

}  // namespace baton::bench
