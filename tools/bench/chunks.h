// Names, shapes and contents of the benchmark's chunks: both of Baton's ends and the references
// agree on them by number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "baton/options.h"
#include "baton/pd_backend.h"
#include "tools/bench/json.h"

namespace baton::bench {

/// A multiple of 64. The layout says as many bytes, in whichever shape.
CacheLayout layout_of(std::size_t chunk_bytes);

/// Options of one end: `arguments` has transport, integrity, poll, chunk_bytes and chunks.
Options options_of(const Json& arguments, Role role);

std::vector<CacheEngineKey> keys_of(std::uint64_t first, std::uint64_t count);

/// The put of these keys is its request's only one.
std::string request_of(const std::string& prefix, std::uint64_t first_key);

/// Different for every seed, and nowhere the same.
void fill(std::span<std::byte> bytes, std::uint64_t seed);

}  // namespace baton::bench
