#include "src/transport/tcp/spread.h"

#include <algorithm>

namespace baton::transport::tcp {

Parts spread(const std::vector<WriteOp>& ops, std::vector<std::uint64_t> load_bytes,
             std::size_t run_bytes) {
  Parts parts(load_bytes.size());
  std::size_t stream = 0;
  std::size_t room_bytes = 0;
  for (WriteOp rest : ops) {
    while (!rest.local.empty()) {
      if (room_bytes == 0) {
        const auto least = std::min_element(load_bytes.begin(), load_bytes.end());
        stream = static_cast<std::size_t>(least - load_bytes.begin());
        room_bytes = std::max<std::size_t>(run_bytes, 1);
      }
      const std::size_t bytes = std::min(rest.local.size(), room_bytes);
      WriteOp piece = rest;
      piece.local = rest.local.first(bytes);
      parts[stream].push_back(piece);
      load_bytes[stream] += bytes;
      room_bytes -= bytes;
      rest.local = rest.local.subspan(bytes);
      rest.offset_bytes += bytes;
    }
  }
  return parts;
}

}  // namespace baton::transport::tcp
