#include "src/engine/kv_blob.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>

#include "src/base/copy_kernel.h"

namespace baton::engine {
namespace {

static_assert(std::endian::native == std::endian::little, "the blob is read as it lies in memory");

constexpr std::uint32_t kMagic = 0xaf143cd8;
constexpr std::int32_t kTypeF16 = 1;  // GGML_TYPE_F16
constexpr std::size_t kPrefixBytes = 4 * sizeof(std::uint32_t);
constexpr std::size_t kCellBytes = 3 * sizeof(std::uint32_t);
constexpr std::size_t kDataHeaderBytes = 2 * sizeof(std::uint32_t);
constexpr std::size_t kLayerHeaderBytes = sizeof(std::int32_t) + sizeof(std::uint64_t);

std::size_t layer_bytes(const KvShape& shape, std::uint32_t tokens) {
  return std::size_t{tokens} * shape.row_bytes;
}

/// No position that follows it within the limit on tokens overflows.
bool is_first_position(std::int32_t position) {
  return position >= 0 && position <= std::numeric_limits<std::int32_t>::max() -
                                          static_cast<std::int32_t>(kMaxKvTokens);
}

Status bad_blob(const std::string& reason) {
  return absl::DataLossError(fmt::format("KV blob: {}", reason));
}

/// Takes values off the front of a blob; the first that isn't there makes it fail for good.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : rest_(bytes) {}

  template <typename T>
  T take() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    const auto bytes = take_bytes(sizeof(T));
    if (!failed_) {
      std::memcpy(&value, bytes.data(), sizeof(T));
    }
    return value;
  }

  std::span<const std::byte> take_bytes(std::size_t count) {
    if (failed_ || count > rest_.size()) {
      failed_ = true;
      return {};
    }
    const auto taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return taken;
  }

  bool failed() const { return failed_; }
  std::size_t left() const { return rest_.size(); }

 private:
  std::span<const std::byte> rest_;
  bool failed_ = false;
};

template <typename Found, typename Expected>
Status expect(const Reader& reader, std::string_view what, Found found, Expected expected) {
  if (reader.failed()) {
    return bad_blob(fmt::format("ends before {}", what));
  }
  if (found != expected) {
    return bad_blob(fmt::format("{} is {:#x}, expected {:#x}", what, found, expected));
  }
  return absl::OkStatus();
}

Status parse_prefix(Reader& reader, KvView& view) {
  if (Status status = expect(reader, "magic", reader.take<std::uint32_t>(), kMagic); !status.ok()) {
    return status;
  }
  reader.take<std::int32_t>();  // the sequence it came from: means nothing here
  if (Status status = expect(reader, "streams", reader.take<std::uint32_t>(), 1U); !status.ok()) {
    return status;
  }
  view.tokens = reader.take<std::uint32_t>();
  if (reader.failed()) {
    return bad_blob("ends before the cell count");
  }
  if (view.tokens == 0 || view.tokens > kMaxKvTokens) {
    return bad_blob(fmt::format("{} cells; allowed are 1 to {}", view.tokens, kMaxKvTokens));
  }
  return absl::OkStatus();
}

Status parse_cells(Reader& reader, KvView& view) {
  Reader cells(reader.take_bytes(view.tokens * kCellBytes));
  if (reader.failed()) {
    return bad_blob(fmt::format("ends within its {} cells", view.tokens));
  }
  for (std::uint32_t i = 0; i < view.tokens; ++i) {
    const auto position = cells.take<std::int32_t>();
    if (i == 0) {
      view.first_position = position;
      if (!is_first_position(position)) {
        return bad_blob(fmt::format("first position {} is out of range", position));
      }
    }
    const auto expected = view.first_position + static_cast<std::int32_t>(i);
    if (position != expected) {
      return bad_blob(fmt::format("cell {} is at position {}, expected {}", i, position, expected));
    }
    const auto sequences = cells.take<std::uint32_t>();
    if (sequences != 1) {
      return bad_blob(fmt::format("cell {} belongs to {} sequences, expected 1", i, sequences));
    }
    cells.take<std::int32_t>();
  }
  return absl::OkStatus();
}

Status parse_data_header(Reader& reader, KvView& view) {
  if (Status status = expect(reader, "transposed V", reader.take<std::uint32_t>(), 0U);
      !status.ok()) {
    return status;
  }
  view.shape.layers = reader.take<std::uint32_t>();
  if (reader.failed()) {
    return bad_blob("ends before the layer count");
  }
  if (view.shape.layers == 0 || view.shape.layers > kMaxKvLayers) {
    return bad_blob(fmt::format("{} layers; allowed are 1 to {}", view.shape.layers, kMaxKvLayers));
  }
  return absl::OkStatus();
}

/// The first layer of K says the row size; every other must agree.
Status parse_layer(Reader& reader, KvView& view, std::vector<std::span<const std::byte>>& layers) {
  const auto type = reader.take<std::int32_t>();
  if (Status status = expect(reader, "row type", type, kTypeF16); !status.ok()) {
    return status;
  }
  const auto row_bytes = reader.take<std::uint64_t>();
  if (reader.failed()) {
    return bad_blob("ends before a row size");
  }
  if (view.shape.row_bytes == 0) {
    if (row_bytes == 0 || row_bytes > kMaxKvRowBytes || row_bytes % 2 != 0) {
      return bad_blob(fmt::format("rows of {} bytes; allowed are even sizes up to {}", row_bytes,
                                  kMaxKvRowBytes));
    }
    view.shape.row_bytes = static_cast<std::uint32_t>(row_bytes);
  }
  if (row_bytes != view.shape.row_bytes) {
    return bad_blob(
        fmt::format("rows of {} bytes after rows of {}", row_bytes, view.shape.row_bytes));
  }
  layers.push_back(reader.take_bytes(layer_bytes(view.shape, view.tokens)));
  if (reader.failed()) {
    return bad_blob("ends within a layer's rows");
  }
  return absl::OkStatus();
}

Status parse_layers(Reader& reader, KvView& view) {
  for (auto* half : {&view.keys, &view.values}) {
    for (std::uint32_t layer = 0; layer < view.shape.layers; ++layer) {
      if (Status status = parse_layer(reader, view, *half); !status.ok()) {
        return status;
      }
    }
  }
  return absl::OkStatus();
}

/// Puts values after each other into memory whose size was computed before.
class Writer {
 public:
  explicit Writer(std::span<std::byte> bytes) : rest_(bytes) {}

  template <typename T>
  void put(T value) {
    put_bytes(std::as_bytes(std::span<const T, 1>(&value, 1)));
  }
  void put_bytes(std::span<const std::byte> bytes) {
    std::memcpy(rest_.data(), bytes.data(), bytes.size());
    rest_ = rest_.subspan(bytes.size());
  }

 private:
  std::span<std::byte> rest_;
};

Status expect_chunk_size(std::size_t found, const KvShape& shape, std::uint32_t tokens) {
  const std::size_t expected = kv_chunk_bytes(shape, tokens);
  if (found == expected) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      fmt::format("a chunk of {} tokens has {} bytes (2 × {} layers × {} bytes a row), not {}",
                  tokens, expected, shape.layers, shape.row_bytes, found));
}

}  // namespace

Status validate_kv(const KvShape& shape, std::uint32_t tokens) {
  const bool layers_ok = shape.layers >= 1 && shape.layers <= kMaxKvLayers;
  const bool row_ok =
      shape.row_bytes >= 2 && shape.row_bytes <= kMaxKvRowBytes && shape.row_bytes % 2 == 0;
  const bool tokens_ok = tokens >= 1 && tokens <= kMaxKvTokens;
  if (layers_ok && row_ok && tokens_ok) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(fmt::format(
      "KV of {} layers, {} bytes a row, {} tokens; allowed are 1 to {}, even sizes up to {}, 1 to "
      "{}",
      shape.layers, shape.row_bytes, tokens, kMaxKvLayers, kMaxKvRowBytes, kMaxKvTokens));
}

std::size_t kv_chunk_bytes(const KvShape& shape, std::uint32_t tokens) {
  return 2 * std::size_t{shape.layers} * layer_bytes(shape, tokens);
}

std::size_t kv_blob_bytes(const KvShape& shape, std::uint32_t tokens) {
  return kPrefixBytes + tokens * kCellBytes + kDataHeaderBytes +
         2 * std::size_t{shape.layers} * kLayerHeaderBytes + kv_chunk_bytes(shape, tokens);
}

TensorMeta kv_chunk_meta(const KvShape& shape, std::uint32_t tokens) {
  return TensorMeta{.shape = {2, shape.layers, tokens, shape.row_bytes / 2},
                    .dtype = DType::kHalf,
                    .format = MemoryFormat::kKv2ltd};
}

StatusOr<KvView> parse_kv_blob(std::span<const std::byte> blob) {
  Reader reader(blob);
  KvView view;
  for (auto* part : {parse_prefix, parse_cells, parse_data_header, parse_layers}) {
    if (Status status = part(reader, view); !status.ok()) {
      return status;
    }
  }
  if (reader.left() != 0) {
    return bad_blob(fmt::format("{} bytes after its end", reader.left()));
  }
  return view;
}

Status kv_to_chunk(const KvView& rows, std::span<std::byte> chunk, KvReader reader) {
  if (Status status = expect_chunk_size(chunk.size(), rows.shape, rows.tokens); !status.ok()) {
    return status;
  }
  std::byte* to = chunk.data();
  for (const auto* half : {&rows.keys, &rows.values}) {
    for (const auto& layer : *half) {
      if (reader == KvReader::kOther) {
        copy_bulk(to, layer.data(), layer.size());
      } else {
        std::memcpy(to, layer.data(), layer.size());
      }
      to += layer.size();
    }
  }
  if (reader == KvReader::kOther) {
    publish_stores();
  }
  return absl::OkStatus();
}

Status kv_chunk_to_blob(const KvShape& shape, std::int32_t first_position, std::uint32_t tokens,
                        std::span<const std::byte> chunk, std::vector<std::byte>& blob) {
  if (Status status = validate_kv(shape, tokens); !status.ok()) {
    return status;
  }
  if (Status status = expect_chunk_size(chunk.size(), shape, tokens); !status.ok()) {
    return status;
  }
  if (!is_first_position(first_position)) {
    return absl::InvalidArgumentError(
        fmt::format("first position {} is out of range", first_position));
  }
  blob.resize(kv_blob_bytes(shape, tokens));
  Writer writer(blob);
  writer.put(kMagic);
  writer.put(std::int32_t{0});
  writer.put(std::uint32_t{1});
  writer.put(tokens);
  for (std::uint32_t i = 0; i < tokens; ++i) {
    writer.put(first_position + static_cast<std::int32_t>(i));
    writer.put(std::uint32_t{1});
    writer.put(std::int32_t{0});
  }
  writer.put(std::uint32_t{0});
  writer.put(shape.layers);
  const std::size_t bytes = layer_bytes(shape, tokens);
  for (; !chunk.empty(); chunk = chunk.subspan(bytes)) {
    writer.put(kTypeF16);
    writer.put(std::uint64_t{shape.row_bytes});
    writer.put_bytes(chunk.first(bytes));
  }
  return absl::OkStatus();
}

}  // namespace baton::engine
