// Where the rows of llama.cpp's KV cache lie in memory, learned from the graphs that write them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>

#include "src/engine/kv_blob.h"

struct ggml_tensor;

namespace baton::engine {

/// llama.cpp's state functions copy every row into a blob, from which it is copied again; there is
/// no call that names the cache's memory. But each graph writes a layer's K and its V by one
/// ggml_set_rows() into that memory, so whoever watches the graphs knows it. ggml asks its eval
/// callback about every node before it is computed; asking for no result changes nothing.
///
/// Only what is exactly as expected is believed: f16 rows without gaps in the host's memory, K and
/// V of the same layers in every batch, and position p in cell p. After anything else find() has no
/// answer until clear(), and the blob serves.
///
/// As thread-safe as the context: one call at a time, llama_decode() included.
class KvRows {
 public:
  /// ggml_backend_sched_eval_callback; `self` is the KvRows. Never wants a result.
  static bool on_node(ggml_tensor* node, bool ask, void* self);

  /// The sequence is empty.
  void clear();
  /// The next graph adds this many tokens to the sequence.
  void begin_batch(std::uint32_t tokens);
  /// It was computed.
  void end_batch();
  /// Rows were added in a way that was not watched.
  void lose();

  /// The rows of positions first to end - 1, where llama.cpp has them: valid until the context's
  /// next call. Nothing if that isn't known.
  std::optional<KvView> find(std::uint32_t first, std::uint32_t end) const;

 private:
  /// A layer's K, or its V.
  struct Cache {
    std::span<const std::byte> bytes;
    std::uint64_t row_bytes = 0;
    bool written = false;  ///< in the batch that is under way

    bool same_memory(const Cache& other) const {
      return bytes.data() == other.bytes.data() && bytes.size() == other.bytes.size() &&
             row_bytes == other.row_bytes;
    }
  };
  using Layers = std::map<std::uint32_t, Cache>;

  bool take(const ggml_tensor& node);
  bool cells_are_positions(const ggml_tensor& cells) const;

  Layers keys_;
  Layers values_;
  std::uint32_t tokens_ = 0;        // known to lie in the cells of their positions
  std::uint32_t batch_tokens_ = 0;  // behind them, while a batch is under way
  bool lost_ = false;
};

}  // namespace baton::engine
