// Which stream carries what of a batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "src/transport/transport.h"

namespace baton::transport::tcp {

/// One part for each stream; empty where the stream gets nothing.
template <typename Op>
using Parts = std::vector<std::vector<Op>>;

/// Cuts the ops, none of them empty, into runs of at most `run_bytes`, and gives each to the
/// stream with the lowest load so far. `load_bytes` has one entry, and the result one part, for
/// each stream: at least one.
Parts<WriteOp> spread(const std::vector<WriteOp>& ops, std::vector<std::uint64_t> load_bytes,
                      std::size_t run_bytes);
Parts<ReadOp> spread(const std::vector<ReadOp>& ops, std::vector<std::uint64_t> load_bytes,
                     std::size_t run_bytes);

}  // namespace baton::transport::tcp
