#include "src/engine/tiny_model.h"

#include <fmt/format.h>
#include <ggml.h>
#include <gguf.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string_view>
#include <system_error>
#include <vector>

#include "src/engine/llama_runtime.h"
#include "src/engine/tiny_vocab.h"

namespace baton::engine {
namespace {

constexpr std::uint32_t kMaxLayers = 4;
constexpr std::uint32_t kWidth = 256;
constexpr std::uint32_t kHeads = 8;
constexpr std::uint32_t kKvHeads = 4;
constexpr std::uint32_t kHeadWidth = kWidth / kHeads;
constexpr std::uint32_t kKvWidth = kHeadWidth * kKvHeads;
constexpr std::uint32_t kFeedForwardWidth = 512;
constexpr std::size_t kArenaBytes = 16U << 20U;  // all tensors of kMaxLayers: 5 MB

struct GgmlDeleter {
  void operator()(ggml_context* context) const { ggml_free(context); }
  void operator()(gguf_context* context) const { gguf_free(context); }
};
using Arena = std::unique_ptr<ggml_context, GgmlDeleter>;
using Gguf = std::unique_ptr<gguf_context, GgmlDeleter>;

/// Random numbers that are the same with every standard library: <random>'s are not.
class Gaussian {
 public:
  explicit Gaussian(std::uint64_t seed) : state_(seed) {}

  /// Mean 0, standard deviation 1: twelve uniform numbers added (exactly, as integers).
  float next() {
    std::int64_t sum = 0;
    for (int i = 0; i < 12; ++i) {
      sum += static_cast<std::int64_t>(next_bits() >> 40U);
    }
    return static_cast<float>(sum) / static_cast<float>(1U << 24U) - 6.0F;
  }

 private:
  std::uint64_t next_bits() {  // splitmix64
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t bits = state_;
    bits = (bits ^ (bits >> 30U)) * 0xbf58476d1ce4e5b9U;
    bits = (bits ^ (bits >> 27U)) * 0x94d049bb133111ebU;
    return bits ^ (bits >> 31U);
  }

  std::uint64_t state_;
};

/// Makes tensors and hands them to the GGUF file, which refers to the arena's memory.
class TensorMaker {
 public:
  TensorMaker(ggml_context& arena, gguf_context& gguf, std::uint64_t seed)
      : arena_(arena), gguf_(gguf), random_(seed) {}

  /// Standard deviation scale / √fan_in, so that activations keep their size from layer to layer.
  void matrix(const std::string& name, std::uint32_t fan_in, std::uint32_t fan_out,
              float scale = 1.0F) {
    ggml_tensor* tensor = ggml_new_tensor_2d(&arena_, GGML_TYPE_F16, fan_in, fan_out);
    const float deviation = scale / std::sqrt(static_cast<float>(fan_in));
    auto* values = static_cast<ggml_fp16_t*>(tensor->data);
    for (std::size_t i = 0; i < std::size_t{fan_in} * fan_out; ++i) {
      values[i] = ggml_fp32_to_fp16(random_.next() * deviation);
    }
    add(name, tensor);
  }

  void ones(const std::string& name, std::uint32_t width) {
    ggml_tensor* tensor = ggml_new_tensor_1d(&arena_, GGML_TYPE_F32, width);
    auto* values = static_cast<float*>(tensor->data);
    std::fill_n(values, width, 1.0F);
    add(name, tensor);
  }

 private:
  void add(const std::string& name, ggml_tensor* tensor) {
    ggml_set_name(tensor, name.c_str());
    gguf_add_tensor(&gguf_, tensor);
  }

  ggml_context& arena_;
  gguf_context& gguf_;
  Gaussian random_;
};

void set_parameters(gguf_context* gguf, const TinyModelOptions& options) {
  gguf_set_val_str(gguf, "general.architecture", "llama");
  gguf_set_val_str(gguf, "general.name", "baton-tiny");
  gguf_set_val_u32(gguf, "llama.context_length", options.context_tokens);
  gguf_set_val_u32(gguf, "llama.embedding_length", kWidth);
  gguf_set_val_u32(gguf, "llama.block_count", options.layers);
  gguf_set_val_u32(gguf, "llama.feed_forward_length", kFeedForwardWidth);
  gguf_set_val_u32(gguf, "llama.attention.head_count", kHeads);
  gguf_set_val_u32(gguf, "llama.attention.head_count_kv", kKvHeads);
  gguf_set_val_u32(gguf, "llama.rope.dimension_count", kHeadWidth);
  gguf_set_val_u32(gguf, "llama.vocab_size", kTinyVocabSize);
  gguf_set_val_f32(gguf, "llama.attention.layer_norm_rms_epsilon", 1e-5F);
}

void set_vocabulary(gguf_context* gguf) {
  const std::vector<TinyVocabEntry> vocab = tiny_vocab();
  std::vector<const char*> texts;
  std::vector<float> scores;
  std::vector<std::int32_t> kinds;
  for (const TinyVocabEntry& entry : vocab) {
    texts.push_back(entry.text.c_str());
    scores.push_back(entry.score);
    kinds.push_back(static_cast<std::int32_t>(entry.kind));
  }
  gguf_set_val_str(gguf, "tokenizer.ggml.model", "llama");
  gguf_set_arr_str(gguf, "tokenizer.ggml.tokens", texts.data(), texts.size());
  gguf_set_arr_data(gguf, "tokenizer.ggml.scores", GGUF_TYPE_FLOAT32, scores.data(), scores.size());
  gguf_set_arr_data(gguf, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, kinds.data(), kinds.size());
  gguf_set_val_u32(gguf, "tokenizer.ggml.unknown_token_id", kTinyUnknownToken);
  gguf_set_val_u32(gguf, "tokenizer.ggml.bos_token_id", kTinyBeginToken);
  gguf_set_val_u32(gguf, "tokenizer.ggml.eos_token_id", kTinyEndToken);
  gguf_set_val_bool(gguf, "tokenizer.ggml.add_bos_token", true);
  gguf_set_val_bool(gguf, "tokenizer.ggml.add_space_prefix", false);
}

/// Attention is doubled: at the plain scale every token looks alike and the text repeats itself.
void add_tensors(TensorMaker& make, std::uint32_t layers) {
  constexpr float kAttention = 2.0F;
  make.matrix("token_embd.weight", kWidth, kTinyVocabSize);
  make.ones("output_norm.weight", kWidth);
  make.matrix("output.weight", kWidth, kTinyVocabSize);
  for (std::uint32_t layer = 0; layer < layers; ++layer) {
    const std::string block = fmt::format("blk.{}.", layer);
    make.ones(block + "attn_norm.weight", kWidth);
    make.matrix(block + "attn_q.weight", kWidth, kWidth, kAttention);
    make.matrix(block + "attn_k.weight", kWidth, kKvWidth, kAttention);
    make.matrix(block + "attn_v.weight", kWidth, kKvWidth, kAttention);
    make.matrix(block + "attn_output.weight", kWidth, kWidth, kAttention);
    make.ones(block + "ffn_norm.weight", kWidth);
    make.matrix(block + "ffn_gate.weight", kWidth, kFeedForwardWidth);
    make.matrix(block + "ffn_up.weight", kWidth, kFeedForwardWidth);
    make.matrix(block + "ffn_down.weight", kFeedForwardWidth, kWidth);
  }
}

Status write_whole(const gguf_context& gguf, const std::string& path) {
  const std::string partial = fmt::format("{}.partial-{}", path, ::getpid());
  take_llama_error();
  if (gguf_write_to_file(&gguf, partial.c_str(), /*only_meta=*/false) &&
      std::rename(partial.c_str(), path.c_str()) == 0) {
    return absl::OkStatus();
  }
  const int error = errno;
  std::remove(partial.c_str());
  return absl::InvalidArgumentError(fmt::format("could not write the model file '{}': {}", path,
                                                std::generic_category().message(error)));
}

}  // namespace

Status write_tiny_model(const std::string& path, const TinyModelOptions& options) {
  assert(options.layers <= kMaxLayers);
  if (Status status = init_llama(); !status.ok()) {
    return status;
  }
  const Arena arena(ggml_init({.mem_size = kArenaBytes, .mem_buffer = nullptr, .no_alloc = false}));
  const Gguf gguf(gguf_init_empty());
  set_parameters(gguf.get(), options);
  set_vocabulary(gguf.get());
  TensorMaker make(*arena, *gguf, options.seed);
  add_tensors(make, options.layers);
  return write_whole(*gguf, path);
}

}  // namespace baton::engine
