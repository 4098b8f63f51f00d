#include "src/wire/values.h"

#include <fmt/format.h>

#include <limits>
#include <type_traits>
#include <utility>
#include <variant>

#include "src/base/key_checker.h"
#include "src/base/text.h"
#include "src/wire/reuse.h"
#include "src/wire/xfer_dlist.h"

namespace baton::wire {
namespace {

using Kind = Item::Kind;

Status invalid(std::string message) {
  return absl::InvalidArgumentError(std::move(message));
}

Status read_kind(Reader& reader, Kind kind, Item& out) {
  const StatusOr<Item> item = reader.next();
  if (!item.ok()) {
    return item.status();
  }
  if (item->kind != kind) {
    return invalid(fmt::format("is {}, not {}", kind_name(item->kind), kind_name(kind)));
  }
  out = *item;
  return absl::OkStatus();
}

Status read_bounded(Reader& reader, Kind kind, std::size_t max, Item& out) {
  if (Status status = read_kind(reader, kind, out); !status.ok()) {
    return status;
  }
  if (out.number > max) {
    return invalid(fmt::format("has {} {}; at most {} are allowed", out.number,
                               kind == Kind::kArray ? "elements" : "bytes", max));
  }
  return absl::OkStatus();
}

template <typename T>
Status read_number(Reader& reader, T max, T& out) {
  Item item;
  if (Status status = read_kind(reader, Kind::kUnsigned, item); !status.ok()) {
    return status;
  }
  if (item.number > max) {
    return invalid(fmt::format("is {}; at most {} is allowed", item.number, max));
  }
  out = static_cast<T>(item.number);
  return absl::OkStatus();
}

/// The largest number that an element of a list may be.
template <typename T>
constexpr std::uint64_t max_of() {
  if constexpr (std::is_same_v<T, KeyState>) {
    return static_cast<std::uint64_t>(KeyState::kPlaced);
  } else if constexpr (std::is_same_v<T, ReadState>) {
    return static_cast<std::uint64_t>(ReadState::kMiss);
  } else {
    return static_cast<std::uint64_t>(std::numeric_limits<T>::max());
  }
}

/// The reader has seen that an element has a byte at least: what is allocated is at most 8 bytes
/// for each byte of input.
template <typename T>
Status read_list(Reader& reader, const Limits& limits, std::size_t max, std::vector<T>& out) {
  Item list;
  if (Status status = read_bounded(reader, Kind::kArray, max, list); !status.ok()) {
    return status;
  }
  static_assert(sizeof(T) <= 8);
  out.resize(list.number);
  for (std::size_t i = 0; i < out.size(); ++i) {
    i += reader.take_unsigned(out.data() + i, out.size() - i, max_of<T>());
    if (i == out.size()) {
      break;
    }
    if (const Status status = get(reader, limits, out[i]); !status.ok()) {
      return invalid(fmt::format("[{}] {}", i, std::string(status.message())));
    }
  }
  return absl::OkStatus();
}

/// What malloc has at hand anyway isn't worth keeping.
constexpr std::size_t kMinKeptBytes = std::size_t{16} << 10U;

thread_local KeyList spare_keys;  // of recycle()

Status read_key(Reader& reader, const Limits& limits, std::string_view& out) {
  if (Reader ahead = reader; ahead.take_str(out) && out.size() <= limits.max_key_bytes) {
    reader = ahead;
    return absl::OkStatus();
  }
  Item key;
  if (Status status = read_bounded(reader, Kind::kStr, limits.max_key_bytes, key); !status.ok()) {
    return status;
  }
  out = key.payload;
  return absl::OkStatus();
}

}  // namespace

void put(Writer& writer, bool value) {
  writer.boolean(value);
}

Status get(Reader& reader, const Limits& /*limits*/, bool& out) {
  Item item;
  Status status = read_kind(reader, Kind::kBool, item);
  out = item.number != 0;
  return status;
}

void put(Writer& writer, std::uint32_t value) {
  writer.integer(std::uint64_t{value});
}

Status get(Reader& reader, const Limits& /*limits*/, std::uint32_t& out) {
  return read_number(reader, std::numeric_limits<std::uint32_t>::max(), out);
}

void put(Writer& writer, std::uint64_t value) {
  writer.integer(value);
}

Status get(Reader& reader, const Limits& /*limits*/, std::uint64_t& out) {
  return read_number(reader, std::numeric_limits<std::uint64_t>::max(), out);
}

void put(Writer& writer, std::int64_t value) {
  writer.integer(value);
}

Status get(Reader& reader, const Limits& /*limits*/, std::int64_t& out) {
  const StatusOr<Item> item = reader.next();
  if (!item.ok()) {
    return item.status();
  }
  if (item->kind != Kind::kUnsigned && item->kind != Kind::kNegative) {
    return invalid(fmt::format("is {}, not an integer", kind_name(item->kind)));
  }
  out = static_cast<std::int64_t>(item->number);
  if (item->kind == Kind::kUnsigned && out < 0) {
    return invalid(fmt::format("is {}; at most {} is allowed", item->number,
                               std::numeric_limits<std::int64_t>::max()));
  }
  return absl::OkStatus();
}

void put(Writer& writer, KeyState value) {
  writer.integer(std::uint64_t{static_cast<std::uint8_t>(value)});
}

Status get(Reader& reader, const Limits& /*limits*/, KeyState& out) {
  std::uint8_t number = 0;
  Status status = read_number(reader, static_cast<std::uint8_t>(KeyState::kPlaced), number);
  out = static_cast<KeyState>(number);
  return status;
}

void put(Writer& writer, ReadState value) {
  writer.integer(std::uint64_t{static_cast<std::uint8_t>(value)});
}

Status get(Reader& reader, const Limits& /*limits*/, ReadState& out) {
  std::uint8_t number = 0;
  Status status = read_number(reader, static_cast<std::uint8_t>(ReadState::kMiss), number);
  out = static_cast<ReadState>(number);
  return status;
}

void put(Writer& writer, GroupWord value) {
  writer.integer(std::uint64_t{static_cast<std::uint8_t>(value)});
}

Status get(Reader& reader, const Limits& /*limits*/, GroupWord& out) {
  std::uint8_t number = 0;
  Status status = read_number(reader, static_cast<std::uint8_t>(GroupWord::kEnded), number);
  out = static_cast<GroupWord>(number);
  return status;
}

void put(Writer& writer, MemoryFormat value) {
  writer.integer(std::uint64_t{static_cast<std::uint8_t>(value)});
}

Status get(Reader& reader, const Limits& limits, MemoryFormat& out) {
  std::int64_t number = 0;
  if (Status status = get(reader, limits, number); !status.ok()) {
    return status;
  }
  const StatusOr<MemoryFormat> format = parse_memory_format(number);
  if (!format.ok()) {
    return invalid(": " + std::string(format.status().message()));
  }
  out = *format;
  return absl::OkStatus();
}

void put(Writer& writer, DType value) {
  writer.str(to_string(value));
}

Status get(Reader& reader, const Limits& /*limits*/, DType& out) {
  Item item;
  if (Status status = read_kind(reader, Kind::kStr, item); !status.ok()) {
    return status;
  }
  const StatusOr<DType> dtype = parse_dtype(item.payload);
  if (!dtype.ok()) {
    return invalid(": " + std::string(dtype.status().message()));
  }
  out = *dtype;
  return absl::OkStatus();
}

void put(Writer& writer, const Epoch& value) {
  writer.bin(value.view());
}

Status get(Reader& reader, const Limits& /*limits*/, Epoch& out) {
  Item item;
  if (Status status = read_kind(reader, Kind::kBin, item); !status.ok()) {
    return status;
  }
  const StatusOr<Epoch> epoch = Epoch::from_bytes(item.payload);
  if (!epoch.ok()) {
    return invalid(": " + std::string(epoch.status().message()));
  }
  out = *epoch;
  return absl::OkStatus();
}

void put(Writer& writer, std::string_view value) {
  writer.str(value);
}

Status get(Reader& reader, const Limits& limits, std::string& out) {
  Item item;
  Status status = read_bounded(reader, Kind::kStr, limits.max_string_bytes, item);
  if (!status.ok()) {
    return status;
  }
  // Not pedantry: such a req_id, passed on, ends the loop of LMCache's proxy.
  if (!is_utf8(item.payload)) {
    return invalid("is not UTF-8: " + quote(item.payload));
  }
  out = item.payload;
  return absl::OkStatus();
}

Status get(Reader& reader, const Limits& limits, std::vector<std::uint32_t>& out) {
  return read_list(reader, limits, limits.max_keys, out);
}

Status get(Reader& reader, const Limits& limits, std::vector<std::uint64_t>& out) {
  return read_list(reader, limits, limits.max_keys, out);
}

Status get(Reader& reader, const Limits& limits, std::vector<std::int64_t>& out) {
  return read_list(reader, limits, limits.max_keys, out);
}

Status get(Reader& reader, const Limits& limits, std::vector<KeyState>& out) {
  return read_list(reader, limits, limits.max_keys, out);
}

Status get(Reader& reader, const Limits& limits, std::vector<ReadState>& out) {
  return read_list(reader, limits, limits.max_keys, out);
}

void put(Writer& writer, const KeyList& keys) {
  writer.array(keys.size());
  writer.strs(keys, keys.text().size());
}

void recycle(Message&& message) {
  const auto keep = [](auto& m) {
    if constexpr (requires { m.keys; }) {
      if (m.keys.text().size() > kMinKeptBytes && m.keys.text().size() <= kMaxKeptBytes) {
        spare_keys = std::move(m.keys);
      }
    }
  };
  std::visit(keep, message);
}

Status get(Reader& reader, const Limits& limits, KeyList& out) {
  Item list;
  if (Status status = read_bounded(reader, Kind::kArray, limits.max_keys, list); !status.ok()) {
    return status;
  }
  // At most the bytes that are here, and 4 for each of them.
  out = std::exchange(spare_keys, {});
  out.clear();
  out.reserve(list.number, reader.rest().size());
  KeyChecker checker;
  for (std::uint64_t i = 0; i < list.number; ++i) {
    std::string_view key;
    Status status = read_key(reader, limits, key);
    if (status.ok()) {
      status = checker.check(key);
    }
    if (!status.ok()) {
      return invalid(fmt::format("[{}]: {}", i, std::string(status.message())));
    }
    out.push_back(key);
  }
  return absl::OkStatus();
}

Status get_shape(Reader& reader, const Limits& limits, std::vector<std::int64_t>& out) {
  return read_list(reader, limits, limits.max_rank, out);
}

void put_blob(Writer& writer, std::string_view value) {
  writer.bin(value);
}

Status get_blob(Reader& reader, const Limits& limits, std::string& out) {
  Item item;
  Status status = read_bounded(reader, Kind::kBin, limits.max_blob_bytes, item);
  if (status.ok()) {
    out = item.payload;
  }
  return status;
}

Status get_page_list(Reader& reader, const Limits& limits, std::string& out) {
  Item item;
  Status status = read_bounded(reader, Kind::kBin, max_xfer_dlist_bytes(limits.max_keys), item);
  if (status.ok()) {
    out = item.payload;
  }
  return status;
}

void put_names(Writer& writer, const std::vector<TransportOffer>& offers) {
  writer.array(offers.size());
  for (const TransportOffer& offer : offers) {
    put(writer, offer.name);
  }
}

Status get_names(Reader& reader, const Limits& limits, std::vector<TransportOffer>& out) {
  Item list;
  Status status = read_bounded(reader, Kind::kArray, limits.max_transports, list);
  if (status.ok()) {
    out.resize(list.number);
  }
  for (std::size_t i = 0; status.ok() && i < out.size(); ++i) {
    status = get(reader, limits, out[i].name);
  }
  return status;
}

void put_offers(Writer& writer, const std::vector<TransportOffer>& offers) {
  writer.array(offers.size());
  for (const TransportOffer& offer : offers) {
    put_blob(writer, offer.offer);
  }
}

Status get_offers(Reader& reader, const Limits& limits, std::vector<TransportOffer>& out) {
  Item list;
  Status status = read_bounded(reader, Kind::kArray, limits.max_transports, list);
  if (status.ok() && list.number != out.size()) {
    status = invalid(fmt::format("has {} elements for {} transports", list.number, out.size()));
  }
  for (std::size_t i = 0; status.ok() && i < out.size(); ++i) {
    status = get_blob(reader, limits, out[i].offer);
  }
  return status;
}

void put_req_ids(Writer& writer, const std::vector<AttemptName>& attempts) {
  writer.array(attempts.size());
  for (const AttemptName& attempt : attempts) {
    put(writer, attempt.req_id);
  }
}

Status get_req_ids(Reader& reader, const Limits& limits, std::vector<AttemptName>& out) {
  Item list;
  Status status = read_bounded(reader, Kind::kArray, limits.max_named_requests, list);
  if (status.ok()) {
    out.resize(list.number);
  }
  for (std::size_t i = 0; status.ok() && i < out.size(); ++i) {
    status = get(reader, limits, out[i].req_id);
  }
  return status;
}

void put_attempts(Writer& writer, const std::vector<AttemptName>& attempts) {
  writer.array(attempts.size());
  for (const AttemptName& attempt : attempts) {
    put(writer, attempt.attempt);
  }
}

Status get_attempts(Reader& reader, const Limits& limits, std::vector<AttemptName>& out) {
  Item list;
  Status status = read_bounded(reader, Kind::kArray, limits.max_named_requests, list);
  if (status.ok() && list.number != out.size()) {
    status = invalid(fmt::format("has {} elements for {} requests", list.number, out.size()));
  }
  for (std::size_t i = 0; status.ok() && i < out.size(); ++i) {
    status = get(reader, limits, out[i].attempt);
  }
  return status;
}

}  // namespace baton::wire
