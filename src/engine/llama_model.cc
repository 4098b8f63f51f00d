#include "src/engine/llama_model.h"

#include <fmt/format.h>
#include <llama.h>

#include <array>
#include <limits>
#include <utility>

#include "src/engine/kv_probe.h"
#include "src/engine/model_file.h"

namespace baton::engine {
namespace {

StatusOr<LlamaModelHandle> load_weights(const std::string& path) {
  llama_model_params params = llama_model_default_params();
  params.n_gpu_layers = 0;
  take_llama_error();
  LlamaModelHandle model(llama_model_load_from_file(path.c_str(), params));
  if (model == nullptr) {
    return absl::InvalidArgumentError(
        fmt::format("model file '{}': llama.cpp refused it: {}", path, take_llama_error()));
  }
  // With sliding windows the blob leaves out rows that have slid away.
  if (llama_model_n_swa(model.get()) != 0) {
    return absl::InvalidArgumentError(
        fmt::format("model file '{}': models with sliding window attention are not supported "
                    "(window of {} tokens)",
                    path, llama_model_n_swa(model.get())));
  }
  return model;
}

}  // namespace

LlamaModel::LlamaModel(LlamaModelHandle handle, std::string fingerprint)
    : handle_(std::move(handle)),
      fingerprint_(std::move(fingerprint)),
      vocab_size_(
          static_cast<std::uint32_t>(llama_vocab_n_tokens(llama_model_get_vocab(handle_.get())))),
      max_context_tokens_(static_cast<std::uint32_t>(llama_model_n_ctx_train(handle_.get()))) {}

StatusOr<std::shared_ptr<const LlamaModel>> LlamaModel::load(const std::string& path) {
  if (Status status = init_llama(); !status.ok()) {
    return status;
  }
  if (Status status = check_model_file(path); !status.ok()) {
    return status;
  }
  auto fingerprint = fingerprint_file(path);
  if (!fingerprint.ok()) {
    return fingerprint.status();
  }
  auto weights = load_weights(path);
  if (!weights.ok()) {
    return weights.status();
  }
  const std::shared_ptr<LlamaModel> model(
      new LlamaModel(*std::move(weights), *std::move(fingerprint)));
  auto shape = probe_kv(*model->handle());
  if (!shape.ok()) {
    return Status(shape.status().code(),
                  fmt::format("model file '{}': {}", path, std::string(shape.status().message())));
  }
  model->kv_shape_ = *shape;
  return model;
}

StatusOr<std::vector<Token>> LlamaModel::tokenize(std::string_view text) const {
  if (text.size() > kMaxKvTokens) {
    return absl::InvalidArgumentError(
        fmt::format("a text of {} bytes; allowed are up to {}", text.size(), kMaxKvTokens));
  }
  const llama_vocab* vocab = llama_model_get_vocab(handle_.get());
  // A byte is one token at most; two more for the beginning, the end and a space put in front.
  std::vector<Token> tokens(text.size() + 8);
  const std::int32_t count = llama_tokenize(
      vocab, text.data(), static_cast<std::int32_t>(text.size()), tokens.data(),
      static_cast<std::int32_t>(tokens.size()), /*add_special=*/true, /*parse_special=*/false);
  if (count < 0) {
    return absl::InternalError(
        fmt::format("llama_tokenize returned {} for a text of {} bytes", count, text.size()));
  }
  tokens.resize(static_cast<std::size_t>(count));
  return tokens;
}

std::string LlamaModel::detokenize(std::span<const Token> tokens) const {
  const llama_vocab* vocab = llama_model_get_vocab(handle_.get());
  std::string text;
  std::array<char, 256> piece{};
  for (const Token token : tokens) {
    if (token < 0 || static_cast<std::uint32_t>(token) >= vocab_size_) {
      continue;
    }
    const std::int32_t bytes =
        llama_token_to_piece(vocab, token, piece.data(), static_cast<std::int32_t>(piece.size()),
                             /*lstrip=*/0, /*special=*/false);
    if (bytes > 0) {
      text.append(piece.data(), static_cast<std::size_t>(bytes));
    }
  }
  return text;
}

}  // namespace baton::engine
