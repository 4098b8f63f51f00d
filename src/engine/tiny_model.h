// A small model made here, for tests and demonstrations: nothing to download.
#pragma once

#include <cstdint>
#include <string>

#include "baton/status.h"

namespace baton::engine {

/// The defaults make a file of 5 MB whose KV has 2,048 bytes a token. The text it generates means
/// nothing, but depends on every token before it.
struct TinyModelOptions {
  std::uint64_t seed = 1;
  std::uint32_t context_tokens = 8192;
  std::uint32_t layers = 4;  ///< at most 4
};

/// Writes a GGUF file of the llama architecture: 256 wide, 8 heads of which 4 for K and
/// V, f16 random weights, a vocabulary of 512 (bytes and syllables). Equal options give equal bytes
/// everywhere. The file appears whole, in one rename, or not at all.
Status write_tiny_model(const std::string& path, const TinyModelOptions& options = {});

}  // namespace baton::engine
