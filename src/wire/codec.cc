#include "src/wire/codec.h"

#include <fmt/format.h>

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "src/base/text.h"
#include "src/wire/check.h"
#include "src/wire/field_reader.h"
#include "src/wire/field_writer.h"
#include "src/wire/fields.h"
#include "src/wire/map_index.h"
#include "src/wire/reuse.h"
#include "src/wire/values.h"

namespace baton::wire {
namespace {

constexpr std::string_view kTypeField = "type";

Status invalid(std::string message) {
  return absl::InvalidArgumentError(std::move(message));
}

template <typename M>
StatusOr<Message> read_message(const MapIndex& map, const Limits& limits) {
  M message;
  FieldReader reader(map, limits);
  fields(reader, message);
  Status status = reader.status();
  if (status.ok()) {
    status = check(message);
  }
  if (!status.ok()) {
    return invalid(fmt::format("{}: {}", M::kType, std::string(status.message())));
  }
  return Message(std::move(message));
}

/// Tries each alternative of Message in turn.
template <std::size_t I = 0>
StatusOr<Message> read_as(std::string_view type, const MapIndex& map, const Limits& limits) {
  if constexpr (I == std::variant_size_v<Message>) {
    return invalid(fmt::format("message type {} is unknown", quote(type)));
  } else {
    using M = std::variant_alternative_t<I, Message>;
    return type == M::kType ? read_message<M>(map, limits) : read_as<I + 1>(type, map, limits);
  }
}

std::string encode_into(std::string memory, const Message& message) {
  FieldWriter writer(std::move(memory));
  writer.field(kTypeField, type_name(message));
  std::visit([&writer](const auto& m) { fields(writer, m); }, message);
  return std::move(writer).take();
}

thread_local std::string spare_bytes;  // of Encoded

StatusOr<std::string_view> read_type(const MapIndex& map) {
  const std::optional<std::string_view> value = map.find(kTypeField);
  if (!value.has_value()) {
    return invalid("a message has no field 'type'");
  }
  const StatusOr<Item> item = Reader(*value).next();
  if (!item.ok()) {
    return item.status();
  }
  if (item->kind != Item::Kind::kStr) {
    return invalid(fmt::format("field 'type' is {}, not {}", kind_name(item->kind),
                               kind_name(Item::Kind::kStr)));
  }
  return item->payload;
}

}  // namespace

std::string encode(const Message& message) {
  return encode_into({}, message);
}

Encoded::Encoded(const Message& message)
    : bytes_(encode_into(std::exchange(spare_bytes, {}), message)) {}

Encoded::~Encoded() {
  if (bytes_.capacity() <= kMaxKeptBytes && bytes_.capacity() > spare_bytes.capacity()) {
    spare_bytes = std::move(bytes_);
  }
}

StatusOr<Message> decode(std::string_view bytes, const Limits& limits) {
  if (bytes.size() > limits.max_message_bytes) {
    return invalid(fmt::format("a message has {} bytes; at most {} are allowed", bytes.size(),
                               limits.max_message_bytes));
  }
  const StatusOr<MapIndex> map = MapIndex::parse(bytes, limits);
  if (!map.ok()) {
    return map.status();
  }
  const StatusOr<std::string_view> type = read_type(*map);
  if (!type.ok()) {
    return type.status();
  }
  return read_as(*type, *map, limits);
}

std::string_view type_name(const Message& message) {
  return std::visit([](const auto& m) { return std::string_view(m.kType); }, message);
}

}  // namespace baton::wire
