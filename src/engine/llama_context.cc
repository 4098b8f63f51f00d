#include "src/engine/llama_context.h"

#include <fmt/format.h>
#include <llama.h>

#include <utility>

namespace baton::engine {
namespace {

constexpr llama_seq_id kRequest = 0;
constexpr llama_seq_id kPart = 1;
constexpr std::uint32_t kSequences = 2;

// Tiny models lose a hundredfold to ggml's barriers with more; and KV bits must not depend on it.
constexpr std::int32_t kThreads = 1;

llama_context_params context_params(std::uint32_t context_tokens, std::uint32_t batch_tokens,
                                    KvRows& rows) {
  llama_context_params params = llama_context_default_params();
  params.n_ctx = context_tokens;
  params.n_batch = batch_tokens;
  params.n_ubatch = batch_tokens;
  params.n_seq_max = kSequences;
  params.n_threads = kThreads;
  params.n_threads_batch = kThreads;
  params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;  // V is stored transposed without it
  params.type_k = GGML_TYPE_F16;
  params.type_v = GGML_TYPE_F16;
  params.offload_kqv = false;
  params.op_offload = false;
  params.cb_eval = KvRows::on_node;
  params.cb_eval_user_data = &rows;
  params.kv_unified = true;  // copying a range between sequences aborts the process without it
  return params;
}

}  // namespace

LlamaContext::LlamaContext(std::unique_ptr<KvRows> rows, LlamaContextHandle handle,
                           std::size_t vocab_size)
    : rows_(std::move(rows)), handle_(std::move(handle)), vocab_size_(vocab_size) {}

StatusOr<LlamaContext> LlamaContext::create(llama_model& model, std::uint32_t context_tokens,
                                            std::uint32_t batch_tokens) {
  take_llama_error();
  auto rows = std::make_unique<KvRows>();
  LlamaContextHandle handle(
      llama_init_from_model(&model, context_params(context_tokens, batch_tokens, *rows)));
  if (handle == nullptr) {
    return absl::ResourceExhaustedError(
        fmt::format("llama.cpp made no context of {} tokens with batches of {}: {}", context_tokens,
                    batch_tokens, take_llama_error()));
  }
  const std::int32_t vocab_size = llama_vocab_n_tokens(llama_model_get_vocab(&model));
  return LlamaContext(std::move(rows), std::move(handle), static_cast<std::size_t>(vocab_size));
}

void LlamaContext::clear() {
  // Metadata only: rows without a cell are never read.
  llama_memory_clear(llama_get_memory(handle_.get()), /*data=*/false);
  rows_->clear();
}

Status LlamaContext::decode(std::span<const Token> tokens) {
  std::vector<Token> batch(tokens.begin(), tokens.end());  // llama.cpp's pointer is not const
  take_llama_error();
  rows_->begin_batch(static_cast<std::uint32_t>(batch.size()));
  const std::int32_t result = llama_decode(
      handle_.get(), llama_batch_get_one(batch.data(), static_cast<std::int32_t>(batch.size())));
  if (result == 0 && llama_get_logits_ith(handle_.get(), -1) != nullptr) {
    rows_->end_batch();
    return absl::OkStatus();
  }
  clear();
  return absl::InternalError(fmt::format("llama_decode of {} tokens returned {}: {}", tokens.size(),
                                         result, take_llama_error()));
}

std::span<const float> LlamaContext::logits() const {
  return {llama_get_logits_ith(handle_.get(), -1), vocab_size_};
}

Status LlamaContext::read_range(std::uint32_t first, std::uint32_t end,
                                std::vector<std::byte>& blob) {
  llama_memory_t memory = llama_get_memory(handle_.get());
  llama_memory_seq_cp(memory, kRequest, kPart, static_cast<llama_pos>(first),
                      static_cast<llama_pos>(end));
  take_llama_error();
  blob.resize(llama_state_seq_get_size(handle_.get(), kPart));
  const std::size_t written = llama_state_seq_get_data(
      handle_.get(), reinterpret_cast<std::uint8_t*>(blob.data()), blob.size(), kPart);
  llama_memory_seq_rm(memory, kPart, -1, -1);
  if (written == blob.size() && written != 0) {
    return absl::OkStatus();
  }
  return absl::InternalError(
      fmt::format("llama.cpp wrote {} of {} state bytes for tokens {} to {}: {}", written,
                  blob.size(), first, end, take_llama_error()));
}

Status LlamaContext::append_blob(std::span<const std::byte> blob) {
  llama_memory_t memory = llama_get_memory(handle_.get());
  rows_->lose();
  take_llama_error();
  const std::size_t read = llama_state_seq_set_data(
      handle_.get(), reinterpret_cast<const std::uint8_t*>(blob.data()), blob.size(), kPart);
  if (read != blob.size()) {
    clear();
    return absl::DataLossError(fmt::format("llama.cpp took {} of {} state bytes: {}", read,
                                           blob.size(), take_llama_error()));
  }
  llama_memory_seq_cp(memory, kPart, kRequest, -1, -1);
  llama_memory_seq_rm(memory, kPart, -1, -1);
  return absl::OkStatus();
}

}  // namespace baton::engine
