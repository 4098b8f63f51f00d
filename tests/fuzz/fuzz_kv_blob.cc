// llama.cpp's state blob. What is understood is exactly what its rows make again.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "src/engine/kv_blob.h"
#include "tests/fuzz/require.h"

namespace {

/// The only bytes that are not kept: which sequence of its context the blob came from.
void forget_sequences(std::vector<std::byte>& blob, std::uint32_t tokens) {
  constexpr std::size_t kFieldBytes = 4;
  constexpr std::size_t kCells = 4 * kFieldBytes;
  std::fill_n(blob.begin() + kFieldBytes, kFieldBytes, std::byte{0});
  for (std::size_t cell = 0; cell < tokens; ++cell) {
    const std::size_t at = kCells + 3 * kFieldBytes * cell + 2 * kFieldBytes;
    std::fill_n(blob.begin() + static_cast<std::ptrdiff_t>(at), kFieldBytes, std::byte{0});
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace baton::engine;  // NOLINT(google-build-using-namespace)
  using baton::fuzz::require;
  const std::span<const std::byte> blob(reinterpret_cast<const std::byte*>(data), size);
  const auto view = parse_kv_blob(blob);
  if (!view.ok()) {
    require(view.status().code() == baton::StatusCode::kDataLoss, "an error of one kind");
    return 0;
  }
  require(validate_kv(view->shape, view->tokens).ok(), "a shape within the limits");
  require(kv_blob_bytes(view->shape, view->tokens) == size, "no byte more or less");
  std::vector<std::byte> chunk(kv_chunk_bytes(view->shape, view->tokens));
  const auto meta_bytes = kv_chunk_meta(view->shape, view->tokens).bytes();
  require(meta_bytes.ok() && *meta_bytes == chunk.size(), "meta data of the chunk");
  require(kv_to_chunk(*view, chunk).ok(), "its rows make a chunk");
  std::vector<std::byte> again;
  require(kv_chunk_to_blob(view->shape, view->first_position, view->tokens, chunk, again).ok(),
          "a chunk makes a blob");
  forget_sequences(again, view->tokens);
  std::vector<std::byte> expected(blob.begin(), blob.end());
  forget_sequences(expected, view->tokens);
  require(again == expected, "the blob comes back to the byte");
  return 0;
}
