#include "src/engine/kv_rows.h"

#include <ggml-backend.h>
#include <ggml.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <vector>

namespace baton::engine {
namespace {

/// What llama.cpp calls the cache of a layer, before its number.
constexpr std::string_view kKeysName = "cache_k_l";
constexpr std::string_view kValuesName = "cache_v_l";

bool is_in_host_memory(const ggml_tensor& tensor) {
  return tensor.data != nullptr && tensor.buffer != nullptr &&
         ggml_backend_buffer_is_host(tensor.buffer);
}

/// The number behind `prefix`, if that is all there is.
std::optional<std::uint32_t> number_behind(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) {
    return std::nullopt;
  }
  const std::string_view digits = name.substr(prefix.size());
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const bool all = error == std::errc() && end == digits.data() + digits.size();
  return all && number < kMaxKvLayers ? std::optional(number) : std::nullopt;
}

/// Rows of f16, one cell behind the other, of one stream.
bool is_plain_cache(const ggml_tensor& cache) {
  return cache.type == GGML_TYPE_F16 && cache.ne[0] > 0 && cache.ne[1] > 0 && cache.ne[2] == 1 &&
         cache.ne[3] == 1 && ggml_is_contiguous(&cache) && is_in_host_memory(cache);
}

}  // namespace

bool KvRows::on_node(ggml_tensor* node, bool ask, void* self) {
  auto& rows = *static_cast<KvRows*>(self);
  if (ask && node->op == GGML_OP_SET_ROWS && !rows.take(*node)) {
    rows.lose();
  }
  return !ask;  // True asks for the result, or lets the computation go on.
}

void KvRows::clear() {
  tokens_ = 0;
  batch_tokens_ = 0;
  lost_ = false;
}

void KvRows::begin_batch(std::uint32_t tokens) {
  batch_tokens_ = tokens;
  for (Layers* const half : {&keys_, &values_}) {
    for (auto& [layer, cache] : *half) {
      cache.written = false;
    }
  }
}

void KvRows::end_batch() {
  const auto all_written = [](const Layers& half) {
    return std::ranges::all_of(half, [](const auto& layer) { return layer.second.written; });
  };
  const auto same_layer = [](const auto& key, const auto& value) {
    return key.first == value.first;
  };
  const bool complete = !keys_.empty() && std::ranges::equal(keys_, values_, same_layer) &&
                        all_written(keys_) && all_written(values_);
  if (!complete) {
    lose();
  }
  tokens_ += batch_tokens_;
  batch_tokens_ = 0;
}

void KvRows::lose() {
  lost_ = true;
}

bool KvRows::take(const ggml_tensor& node) {
  // The result is a view of what is written to; see ggml_set_rows().
  const ggml_tensor* const cache = node.view_src;
  const ggml_tensor* const cells = node.src[1];
  if (cache == nullptr || cells == nullptr || !is_plain_cache(*cache)) {
    return false;
  }
  const auto key = number_behind(cache->name, kKeysName);
  const auto value = number_behind(cache->name, kValuesName);
  if ((!key && !value) || !cells_are_positions(*cells)) {
    return false;
  }
  const Cache found = {
      .bytes = {static_cast<const std::byte*>(cache->data), ggml_nbytes(cache)},
      .row_bytes = cache->nb[1],
  };
  const auto [place, is_new] =
      key ? keys_.try_emplace(*key, found) : values_.try_emplace(*value, found);
  // New ones after the first batch would have no rows for what came before.
  if ((is_new && tokens_ != 0) || place->second.written || !place->second.same_memory(found)) {
    return false;
  }
  place->second.written = true;
  return true;
}

bool KvRows::cells_are_positions(const ggml_tensor& cells) const {
  if (cells.type != GGML_TYPE_I64 || !ggml_is_contiguous(&cells) || !is_in_host_memory(cells) ||
      ggml_nelements(&cells) != batch_tokens_) {
    return false;
  }
  const std::span indexes(static_cast<const std::int64_t*>(cells.data), batch_tokens_);
  std::int64_t expected = tokens_;
  return std::ranges::all_of(indexes, [&](std::int64_t cell) { return cell == expected++; });
}

std::optional<KvView> KvRows::find(std::uint32_t first, std::uint32_t end) const {
  if (lost_ || first >= end || end > tokens_) {
    return std::nullopt;
  }
  const std::uint64_t row_bytes = keys_.begin()->second.row_bytes;
  KvView view{.shape = {.layers = static_cast<std::uint32_t>(keys_.size()),
                        .row_bytes = static_cast<std::uint32_t>(row_bytes)},
              .first_position = static_cast<std::int32_t>(first),
              .tokens = end - first,
              .keys = {},
              .values = {}};
  const auto add = [&](const Layers& layers, std::vector<std::span<const std::byte>>& rows) {
    for (const auto& [layer, cache] : layers) {
      if (cache.row_bytes != row_bytes || end > cache.bytes.size() / row_bytes) {
        return false;
      }
      rows.push_back(cache.bytes.subspan(first * row_bytes, (end - first) * row_bytes));
    }
    return true;
  };
  if (!add(keys_, view.keys) || !add(values_, view.values)) {
    return std::nullopt;
  }
  return view;
}

}  // namespace baton::engine
