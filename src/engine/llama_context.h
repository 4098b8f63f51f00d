// One llama.cpp context that holds one sequence, with the few operations that Baton needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "baton/status.h"
#include "src/engine/chunk_hash.h"
#include "src/engine/kv_rows.h"
#include "src/engine/llama_runtime.h"

namespace baton::engine {

/// Sequence 0 is the request. Sequence 1 exists only inside read_range() and append_blob(), which
/// need it to name a part of the cache; two living sequences would change each other's logits.
///
/// Arguments are trusted: ranges lie within the sequence, tokens within the vocabulary, and
/// nothing exceeds the context or the batch (llama.cpp aborts the process on some of these).
/// One thread at a time.
class LlamaContext {
 public:
  /// The batch and the micro-batch are both `batch_tokens` wide. The model must outlive it.
  static StatusOr<LlamaContext> create(llama_model& model, std::uint32_t context_tokens,
                                       std::uint32_t batch_tokens);

  void clear();

  /// Runs the tokens in one batch behind what is there. On an error the sequence is empty.
  Status decode(std::span<const Token> tokens);

  /// Of the last token of the last decode(). Valid until the next call of anything.
  std::span<const float> logits() const;

  /// The rows of positions first to end - 1 where llama.cpp has them, valid until the next call;
  /// or nothing, if that isn't known: ask read_range().
  std::optional<KvView> rows(std::uint32_t first, std::uint32_t end) const {
    return rows_->find(first, end);
  }

  /// The state blob of positions first to end - 1, into `blob`, whose memory is reused.
  Status read_range(std::uint32_t first, std::uint32_t end, std::vector<std::byte>& blob);

  /// Adds the rows of a blob to the sequence. kDataLoss if llama.cpp does not take exactly all of
  /// it; the sequence is empty then.
  Status append_blob(std::span<const std::byte> blob);

 private:
  LlamaContext(std::unique_ptr<KvRows> rows, LlamaContextHandle handle, std::size_t vocab_size);

  std::unique_ptr<KvRows> rows_;  // handle_ knows its address
  LlamaContextHandle handle_;
  std::size_t vocab_size_;
};

}  // namespace baton::engine
