#include "src/transport/tcp/spread.h"

#include <algorithm>
#include <utility>

namespace baton::transport::tcp {
namespace {

template <typename Op>
Parts<Op> spread_any(const std::vector<Op>& ops, std::vector<std::uint64_t> load_bytes,
                     std::size_t run_bytes) {
  Parts<Op> parts(load_bytes.size());
  std::size_t stream = 0;
  std::size_t room_bytes = 0;
  for (Op rest : ops) {
    while (!rest.local.empty()) {
      if (room_bytes == 0) {
        const auto least = std::min_element(load_bytes.begin(), load_bytes.end());
        stream = static_cast<std::size_t>(least - load_bytes.begin());
        room_bytes = std::max<std::size_t>(run_bytes, 1);
      }
      const std::size_t bytes = std::min(rest.local.size(), room_bytes);
      Op piece = rest;
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

}  // namespace

Parts<WriteOp> spread(const std::vector<WriteOp>& ops, std::vector<std::uint64_t> load_bytes,
                      std::size_t run_bytes) {
  return spread_any(ops, std::move(load_bytes), run_bytes);
}

Parts<ReadOp> spread(const std::vector<ReadOp>& ops, std::vector<std::uint64_t> load_bytes,
                     std::size_t run_bytes) {
  return spread_any(ops, std::move(load_bytes), run_bytes);
}

}  // namespace baton::transport::tcp
