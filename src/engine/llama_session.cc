#include "src/engine/llama_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

namespace baton::engine {

StatusOr<std::unique_ptr<LlamaSession>> LlamaSession::create(
    std::shared_ptr<const LlamaModel> model, const SessionOptions& options) {
  const std::uint32_t limit = std::min(model->max_context_tokens(), kMaxKvTokens);
  const std::uint32_t context_tokens = options.context_tokens == 0 ? limit : options.context_tokens;
  if (context_tokens > limit) {
    return absl::InvalidArgumentError(
        fmt::format("a context of {} tokens; this model's limit is {}", context_tokens, limit));
  }
  if (options.chunk_tokens < kMinChunkTokens || options.chunk_tokens > context_tokens) {
    return absl::InvalidArgumentError(fmt::format(
        "chunks of {} tokens; allowed are {} (narrower batches compute other KV bits) to {} (the "
        "context)",
        options.chunk_tokens, kMinChunkTokens, context_tokens));
  }
  auto context = LlamaContext::create(*model->handle(), context_tokens, options.chunk_tokens);
  if (!context.ok()) {
    return context.status();
  }
  return std::unique_ptr<LlamaSession>(new LlamaSession(std::move(model), *std::move(context),
                                                        context_tokens, options.chunk_tokens));
}

LlamaSession::LlamaSession(std::shared_ptr<const LlamaModel> model, LlamaContext context,
                           std::uint32_t context_tokens, std::uint32_t chunk_tokens)
    : model_(std::move(model)),
      context_(std::move(context)),
      context_tokens_(context_tokens),
      chunk_tokens_(chunk_tokens) {}

void LlamaSession::clear() {
  context_.clear();
  position_ = 0;
  prompt_tokens_ = 0;
}

Status LlamaSession::check_fits(std::size_t tokens) const {
  if (tokens <= context_tokens_) {
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(fmt::format(
      "{} tokens never fit a context of {} tokens: shorten the prompt or the answer, or "
      "make the context longer",
      tokens, context_tokens_));
}

Status LlamaSession::check_tokens(std::span<const Token> tokens) const {
  const auto vocab_size = static_cast<std::int64_t>(model_->vocab_size());
  for (const Token token : tokens) {
    if (token < 0 || token >= vocab_size) {
      return absl::InvalidArgumentError(
          fmt::format("token {} is not in the vocabulary of {}", token, vocab_size));
    }
  }
  return check_fits(position_ + tokens.size());
}

Status LlamaSession::run(std::span<const Token> tokens) {
  if (Status status = context_.decode(tokens); !status.ok()) {
    clear();
    return status;
  }
  position_ += static_cast<std::uint32_t>(tokens.size());
  return absl::OkStatus();
}

StatusOr<std::span<const float>> LlamaSession::prefill_chunk(std::span<const Token> tokens) {
  if (tokens.empty() || tokens.size() > chunk_tokens_) {
    return absl::InvalidArgumentError(
        fmt::format("a chunk of {} tokens; allowed are 1 to {}", tokens.size(), chunk_tokens_));
  }
  if (position_ != prompt_tokens_ || position_ % chunk_tokens_ != 0) {
    return absl::FailedPreconditionError(fmt::format(
        "prefill at position {} ({} tokens of prompt): it begins on a multiple of {}, before any "
        "decode",
        position_, prompt_tokens_, chunk_tokens_));
  }
  if (Status status = check_tokens(tokens); !status.ok()) {
    return status;
  }
  if (Status status = run(tokens); !status.ok()) {
    return status;
  }
  prompt_tokens_ = position_;
  return context_.logits();
}

/// Where llama.cpp has them, if that is known; else by way of a blob.
StatusOr<KvView> LlamaSession::rows_of(std::uint32_t first, std::uint32_t end) {
  if (auto rows = context_.rows(first, end)) {
    return *std::move(rows);
  }
  if (Status status = context_.read_range(first, end, blob_); !status.ok()) {
    return status;
  }
  return parse_kv_blob(blob_);
}

Status LlamaSession::export_chunk(std::uint32_t first, std::uint32_t end, std::span<std::byte> out,
                                  KvReader reader) {
  const bool one_chunk = first < end && first % chunk_tokens_ == 0 &&
                         end == std::min(first + chunk_tokens_, prompt_tokens_);
  if (!one_chunk) {
    return absl::InvalidArgumentError(
        fmt::format("tokens {} to {} are not one chunk of {} within the {} tokens of prompt", first,
                    end, chunk_tokens_, prompt_tokens_));
  }
  auto view = rows_of(first, end);
  if (!view.ok()) {
    return view.status();
  }
  if (view->shape != model_->kv_shape() || view->tokens != end - first ||
      view->first_position != static_cast<std::int32_t>(first)) {
    return absl::InternalError(
        fmt::format("asked llama.cpp for tokens {} to {}, got {} tokens from position {}", first,
                    end, view->tokens, view->first_position));
  }
  return kv_to_chunk(*view, out, reader);
}

Status LlamaSession::check_import(std::span<const KvChunk> chunks) const {
  std::size_t total = 0;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const std::uint32_t tokens = chunks[i].tokens;
    const bool last = i + 1 == chunks.size();
    if (tokens == 0 || tokens > chunk_tokens_ || (!last && tokens != chunk_tokens_)) {
      return absl::InvalidArgumentError(
          fmt::format("chunk {} of {} has {} tokens; all have {}, the last one perhaps fewer", i,
                      chunks.size(), tokens, chunk_tokens_));
    }
    total += tokens;
  }
  if (total == 0) {
    return absl::InvalidArgumentError("no chunks to import");
  }
  return check_fits(total);
}

Status LlamaSession::append(const KvChunk& chunk) {
  if (Status status = kv_chunk_to_blob(model_->kv_shape(), static_cast<std::int32_t>(position_),
                                       chunk.tokens, chunk.bytes, blob_);
      !status.ok()) {
    return status;
  }
  if (Status status = context_.append_blob(blob_); !status.ok()) {
    return status;
  }
  position_ += chunk.tokens;
  prompt_tokens_ = position_;
  return absl::OkStatus();
}

Status LlamaSession::import_chunks(std::span<const KvChunk> chunks) {
  clear();
  if (Status status = check_import(chunks); !status.ok()) {
    return status;
  }
  for (const KvChunk& chunk : chunks) {
    if (Status status = append(chunk); !status.ok()) {
      clear();
      return status;
    }
  }
  return absl::OkStatus();
}

StatusOr<std::span<const float>> LlamaSession::decode(Token token) {
  if (position_ == 0) {
    return absl::FailedPreconditionError("nothing to decode from: prefill or import first");
  }
  const std::span<const Token> one(&token, 1);
  if (Status status = check_tokens(one); !status.ok()) {
    return status;
  }
  if (Status status = run(one); !status.ok()) {
    return status;
  }
  return context_.logits();
}

Token greedy_token(std::span<const float> logits) {
  return static_cast<Token>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace baton::engine
