// A model that llama.cpp has loaded.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "baton/status.h"
#include "src/engine/chunk_hash.h"
#include "src/engine/kv_blob.h"
#include "src/engine/llama_runtime.h"

namespace baton::engine {

/// Weights and vocabulary. Immutable; sessions on several threads may share one.
class LlamaModel {
 public:
  /// Reads the whole file once for the fingerprint. kInvalidArgument if the file is no complete
  /// GGUF of the llama architecture, or its cache has rows that a KV_2LTD chunk of halves can't
  /// hold; kFailedPrecondition if this llama.cpp stores its cache in another layout than kv_blob.h
  /// describes: it is tried out before anything is believed.
  static StatusOr<std::shared_ptr<const LlamaModel>> load(const std::string& path);

  /// Equal for equal files.
  const std::string& fingerprint() const { return fingerprint_; }
  const KvShape& kv_shape() const { return kv_shape_; }
  std::uint32_t vocab_size() const { return vocab_size_; }
  /// The longest context that the model was trained for, in tokens.
  std::uint32_t max_context_tokens() const { return max_context_tokens_; }

  /// With the beginning-of-sequence token first, if the model wants one.
  StatusOr<std::vector<Token>> tokenize(std::string_view text) const;
  /// Pieces of unprintable tokens are raw bytes: escape before showing them. Tokens that the
  /// vocabulary does not have are left out.
  std::string detokenize(std::span<const Token> tokens) const;

  /// For LlamaSession.
  llama_model* handle() const { return handle_.get(); }

 private:
  LlamaModel(LlamaModelHandle handle, std::string fingerprint);

  LlamaModelHandle handle_;
  std::string fingerprint_;
  std::uint32_t vocab_size_;
  std::uint32_t max_context_tokens_;
  KvShape kv_shape_;
};

}  // namespace baton::engine
