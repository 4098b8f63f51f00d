#include "src/engine/kv_probe.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "src/engine/llama_context.h"

namespace baton::engine {
namespace {

constexpr std::uint32_t kContextTokens = 256;
constexpr std::uint32_t kBatchTokens = 64;
constexpr std::array<Token, 3> kTokens = {0, 1, 0};
constexpr std::uint32_t kPrefixTokens = 2;

Status layout_differs(const std::string& how) {
  return absl::FailedPreconditionError(
      fmt::format("its KV cache is not laid out as Baton expects: {}. Use the llama.cpp that "
                  "scripts/fetch-llama.sh fetches, and a model with f16-sized K and V rows",
                  how));
}

/// The rows of the prefix, as they lie in the cache now.
struct Prefix {
  KvShape shape;
  std::vector<std::byte> chunk;
};

/// The same bytes as where the context says that llama.cpp has them, if it does say it.
bool lie_in_cache(const LlamaContext& context, const Prefix& prefix) {
  const auto rows = context.rows(0, kPrefixTokens);
  if (!rows) {
    return true;
  }
  std::vector<std::byte> chunk(prefix.chunk.size());
  return rows->shape == prefix.shape && kv_to_chunk(*rows, chunk).ok() && chunk == prefix.chunk;
}

StatusOr<Prefix> read_prefix(LlamaContext& context) {
  std::vector<std::byte> blob;
  if (Status status = context.read_range(0, kPrefixTokens, blob); !status.ok()) {
    return status;
  }
  auto view = parse_kv_blob(blob);
  if (!view.ok()) {
    return layout_differs(std::string(view.status().message()));
  }
  if (view->first_position != 0 || view->tokens != kPrefixTokens) {
    return layout_differs(fmt::format("asked for tokens 0 and 1, got {} from position {}",
                                      view->tokens, view->first_position));
  }
  Prefix prefix{.shape = view->shape, .chunk = {}};
  prefix.chunk.resize(kv_chunk_bytes(prefix.shape, kPrefixTokens));
  if (Status status = kv_to_chunk(*view, prefix.chunk); !status.ok()) {
    return status;
  }
  if (!lie_in_cache(context, prefix)) {
    return layout_differs("its rows don't lie where its graphs write them");
  }
  return prefix;
}

Status replace_prefix(LlamaContext& context, const Prefix& prefix) {
  std::vector<std::byte> blob;
  if (Status status = kv_chunk_to_blob(prefix.shape, 0, kPrefixTokens, prefix.chunk, blob);
      !status.ok()) {
    return status;
  }
  context.clear();
  if (const Status status = context.append_blob(blob); !status.ok()) {
    return layout_differs(std::string(status.message()));
  }
  return absl::OkStatus();
}

StatusOr<std::vector<float>> decode_copying(LlamaContext& context, std::span<const Token> tokens) {
  if (Status status = context.decode(tokens); !status.ok()) {
    return status;
  }
  const auto logits = context.logits();
  return std::vector<float>(logits.begin(), logits.end());
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

}  // namespace

StatusOr<KvShape> probe_kv(llama_model& model) {
  const auto tokens = std::span(kTokens);
  auto context = LlamaContext::create(model, kContextTokens, kBatchTokens);
  if (!context.ok()) {
    return context.status();
  }
  if (Status status = context->decode(tokens.first(kPrefixTokens)); !status.ok()) {
    return status;
  }
  const auto before = read_prefix(*context);
  if (!before.ok()) {
    return before.status();
  }
  const auto expected = decode_copying(*context, tokens.subspan(kPrefixTokens));
  if (!expected.ok()) {
    return expected.status();
  }
  if (Status status = replace_prefix(*context, *before); !status.ok()) {
    return status;
  }
  const auto after = read_prefix(*context);
  if (!after.ok()) {
    return after.status();
  }
  if (after->shape != before->shape || after->chunk != before->chunk) {
    return layout_differs("rows that were put in came out changed");
  }
  const auto found = decode_copying(*context, tokens.subspan(kPrefixTokens));
  if (!found.ok()) {
    return found.status();
  }
  if (!same_bits(*expected, *found)) {
    return layout_differs("rows that were put back gave other logits");
  }
  return before->shape;
}

}  // namespace baton::engine
