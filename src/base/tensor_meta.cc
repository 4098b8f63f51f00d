#include "baton/tensor_meta.h"

#include <fmt/format.h>

#include <array>
#include <string>

#include "src/base/text.h"

namespace baton {
namespace {

struct DTypeRow {
  DType dtype;
  std::string_view name;
  std::size_t element_bytes;
};

/// In the order of the enumeration, so that a DType is its row's index.
constexpr std::array<DTypeRow, 14> kDTypes{{
    {DType::kHalf, "half", 2},
    {DType::kBfloat16, "bfloat16", 2},
    {DType::kFloat, "float", 4},
    {DType::kDouble, "double", 8},
    {DType::kInt8, "int8", 1},
    {DType::kUint8, "uint8", 1},
    {DType::kInt16, "int16", 2},
    {DType::kInt32, "int32", 4},
    {DType::kInt64, "int64", 8},
    {DType::kBool, "bool", 1},
    {DType::kFp8E4m3fn, "fp8_e4m3fn", 1},
    {DType::kFp8E4m3fnuz, "fp8_e4m3fnuz", 1},
    {DType::kFp8E5m2, "fp8_e5m2", 1},
    {DType::kFp8E5m2fnuz, "fp8_e5m2fnuz", 1},
}};

struct FormatRow {
  std::string_view name;
  std::size_t token_dim;
};

/// Indexed by LMCache's wire value.
constexpr std::array<FormatRow, 7> kFormats{{
    {"UNDEFINED", 0},
    {"KV_2LTD", 2},
    {"KV_T2D", 1},
    {"KV_2TD", 0},
    {"BINARY", 0},
    {"BINARY_BUFFER", 0},
    {"KV_MLA_FMT", 2},
}};

constexpr bool rows_in_order() {
  for (std::size_t i = 0; i < kDTypes.size(); ++i) {
    if (static_cast<std::size_t>(kDTypes[i].dtype) != i) {
      return false;
    }
  }
  return true;
}
static_assert(rows_in_order());

/// Chunks beyond this are refused: their size could not be added to anything safely.
constexpr std::int64_t kMaxChunkBytes = std::int64_t{1} << 62U;

const DTypeRow& row(DType dtype) {
  return kDTypes.at(static_cast<std::size_t>(dtype));
}

const FormatRow& row(MemoryFormat format) {
  return kFormats.at(static_cast<std::size_t>(format));
}

Status invalid(std::string message) {
  return absl::InvalidArgumentError(std::move(message));
}

}  // namespace

std::string_view to_string(DType dtype) {
  return row(dtype).name;
}

StatusOr<DType> parse_dtype(std::string_view name) {
  for (const DTypeRow& candidate : kDTypes) {
    if (candidate.name == name) {
      return candidate.dtype;
    }
  }
  return invalid(
      fmt::format("dtype {} is unknown; LMCache's names are half, bfloat16, float, …, "
                  "fp8_e5m2fnuz",
                  quote(name)));
}

std::size_t element_bytes(DType dtype) {
  return row(dtype).element_bytes;
}

std::string_view to_string(MemoryFormat format) {
  return row(format).name;
}

StatusOr<MemoryFormat> parse_memory_format(std::int64_t wire_value) {
  if (wire_value < 0 || wire_value >= static_cast<std::int64_t>(kFormats.size())) {
    return invalid(
        fmt::format("memory format {} is outside 0 to {}, the numbers that all versions "
                    "of LMCache agree about",
                    wire_value, kFormats.size() - 1));
  }
  return static_cast<MemoryFormat>(wire_value);
}

std::size_t token_dim(MemoryFormat format) {
  return row(format).token_dim;
}

StatusOr<std::size_t> TensorMeta::bytes() const {
  if (shape.empty() || shape.size() > kMaxRank) {
    return invalid(
        fmt::format("a shape has {} dimensions; 1 to {} are allowed", shape.size(), kMaxRank));
  }
  std::int64_t product = static_cast<std::int64_t>(element_bytes(dtype));
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] < 1) {
      return invalid(fmt::format("dimension {} of a shape is {}; at least 1", i, shape[i]));
    }
    if (shape[i] > kMaxChunkBytes / product) {
      return invalid(
          fmt::format("a shape is too large: beyond 2^62 bytes at dimension {} = {}", i, shape[i]));
    }
    product *= shape[i];
  }
  return static_cast<std::size_t>(product);
}

StatusOr<std::int64_t> TensorMeta::tokens() const {
  const std::size_t dim = token_dim(format);
  if (dim >= shape.size()) {
    return invalid(
        fmt::format("a shape of {} dimensions has no token dimension: {} counts tokens "
                    "in dimension {}",
                    shape.size(), to_string(format), dim));
  }
  return shape[dim];
}

StatusOr<TensorMeta> TensorMeta::with_tokens(std::int64_t tokens) const {
  const StatusOr<std::int64_t> full = this->tokens();
  if (!full.ok()) {
    return full.status();
  }
  if (tokens < 1 || tokens > *full) {
    return invalid(fmt::format("a chunk of {} tokens can't be cut to {}; 1 to {} are possible",
                               *full, tokens, *full));
  }
  TensorMeta cut = *this;
  cut.shape[token_dim(format)] = tokens;
  return cut;
}

Status TensorMeta::validate_for_put() const {
  if (format != MemoryFormat::kKv2ltd && format != MemoryFormat::kKvMla) {
    return invalid(fmt::format("chunks of format {} can't be put; use KV_2LTD or KV_MLA_FMT",
                               to_string(format)));
  }
  if (const StatusOr<std::size_t> size = bytes(); !size.ok()) {
    return size.status();
  }
  const std::int64_t leading = format == MemoryFormat::kKv2ltd ? 2 : 1;
  if (shape.size() != 4 || shape[0] != leading) {
    return invalid(fmt::format("a {} chunk has shape [{}]; [{}, layers, tokens, hidden] is needed",
                               to_string(format), fmt::join(shape, ", "), leading));
  }
  return absl::OkStatus();
}

}  // namespace baton
