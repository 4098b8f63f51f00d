// One request at a time through one llama.cpp context, with its KV coming and going as chunks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "baton/status.h"
#include "src/engine/kv_blob.h"
#include "src/engine/llama_context.h"
#include "src/engine/llama_model.h"

namespace baton::engine {

struct SessionOptions {
  /// Prompt and answer together; 0: as long as the model was trained for.
  std::uint32_t context_tokens = 0;
  /// Also the width of llama.cpp's batch and micro-batch.
  std::uint32_t chunk_tokens = 256;
};

/// The KV of a chunk as imported: [2, L, tokens, D], halves.
struct KvChunk {
  std::span<const std::byte> bytes;
  std::uint32_t tokens = 0;
};

/// A prefiller calls prefill_chunk() and export_chunk() for one chunk after the other; a decoder
/// import_chunks(), then decode(). With the same model, chunk_tokens and build of llama.cpp the
/// decoder's logits equal, bit by bit, those of one session that does everything.
///
/// That rests on three rules, which the session keeps: the KV bits of a token depend on the width
/// of the micro-batch, so a chunk is one micro-batch, never narrower than kMinChunkTokens but for
/// the prompt's tail; prefill begins on a chunk boundary; rows made by decode() are not exported.
///
/// Not thread-safe. After an error of prefill_chunk(), import_chunks() or decode() that llama.cpp
/// caused, the session is empty; an error in the arguments changes nothing.
class LlamaSession {
 public:
  /// Narrower micro-batches give other KV bits than this and wider ones, which agree.
  static constexpr std::uint32_t kMinChunkTokens = 64;

  static StatusOr<std::unique_ptr<LlamaSession>> create(std::shared_ptr<const LlamaModel> model,
                                                        const SessionOptions& options);

  const LlamaModel& model() const { return *model_; }
  std::uint32_t context_tokens() const { return context_tokens_; }
  std::uint32_t chunk_tokens() const { return chunk_tokens_; }
  /// Tokens in the sequence.
  std::uint32_t position() const { return position_; }

  /// Forgets the request.
  void clear();

  /// kResourceExhausted, naming both numbers, unless `tokens` tokens fit the context.
  Status check_fits(std::size_t tokens) const;

  /// Up to chunk_tokens tokens at a chunk boundary; fewer end the prompt. Returns the logits after
  /// the last one, valid until the next call.
  StatusOr<std::span<const float>> prefill_chunk(std::span<const Token> tokens);

  /// Copies the KV of tokens first to end - 1 into `out`, which has kv_chunk_bytes() bytes. They
  /// must be one chunk that was prefilled or imported.
  /// `reader`: who reads `out` next; another process, if it is a memory object in place.
  Status export_chunk(std::uint32_t first, std::uint32_t end, std::span<std::byte> out,
                      KvReader reader = KvReader::kSelf);

  /// Replaces the sequence by these chunks, the prompt's first one first; all but the last one are
  /// full. The bytes don't say which tokens they belong to: swapped chunks are taken, and give
  /// wrong text. Any error leaves the session empty.
  Status import_chunks(std::span<const KvChunk> chunks);

  /// Appends one generated token; returns the logits after it, valid until the next call.
  StatusOr<std::span<const float>> decode(Token token);

 private:
  LlamaSession(std::shared_ptr<const LlamaModel> model, LlamaContext context,
               std::uint32_t context_tokens, std::uint32_t chunk_tokens);

  Status check_tokens(std::span<const Token> tokens) const;
  Status check_import(std::span<const KvChunk> chunks) const;
  StatusOr<KvView> rows_of(std::uint32_t first, std::uint32_t end);
  Status run(std::span<const Token> tokens);
  Status append(const KvChunk& chunk);

  std::shared_ptr<const LlamaModel> model_;  // outlives context_
  LlamaContext context_;
  std::uint32_t context_tokens_;
  std::uint32_t chunk_tokens_;
  std::uint32_t position_ = 0;
  std::uint32_t prompt_tokens_ = 0;  // what prefill and import made; position_ after decode is more
  std::vector<std::byte> blob_;      // reused from chunk to chunk
};

/// The token with the highest logit, the lowest id among equals.
Token greedy_token(std::span<const float> logits);

}  // namespace baton::engine
