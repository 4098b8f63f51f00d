#include "src/wire/map_index.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "src/base/text.h"
#include "src/wire/reader.h"

namespace baton::wire {
namespace {

Status invalid(std::string message) {
  return absl::InvalidArgumentError(std::move(message));
}

}  // namespace

StatusOr<MapIndex> MapIndex::parse(std::string_view bytes, const Limits& limits) {
  Reader reader(bytes);
  const StatusOr<Item> head = reader.next();
  if (!head.ok()) {
    return invalid(fmt::format("a message {}", std::string(head.status().message())));
  }
  if (head->kind != Item::Kind::kMap) {
    return invalid(fmt::format("a message is {}, not a map", kind_name(head->kind)));
  }
  if (head->number > limits.max_fields) {
    return invalid(fmt::format("a message has {} fields; at most {} are allowed", head->number,
                               limits.max_fields));
  }
  MapIndex index;
  index.fields_.reserve(head->number);
  for (std::uint64_t i = 0; i < head->number; ++i) {
    if (Status status = index.add(reader, limits); !status.ok()) {
      return status;
    }
  }
  if (!reader.rest().empty()) {
    return invalid(fmt::format("a message is followed by {} bytes", reader.rest().size()));
  }
  return index;
}

Status MapIndex::add(Reader& reader, const Limits& limits) {
  const StatusOr<Item> name = reader.next();
  if (!name.ok()) {
    return invalid(fmt::format("a field name {}", std::string(name.status().message())));
  }
  if (name->kind != Item::Kind::kStr) {
    return invalid(fmt::format("a field name is {}, not a str", kind_name(name->kind)));
  }
  if (find(name->payload).has_value()) {
    return invalid(fmt::format("field {} is there twice", quote(name->payload)));
  }
  const std::string_view before = reader.rest();
  if (const Status status = reader.skip(limits.max_depth); !status.ok()) {
    return invalid(fmt::format("field {} {}", quote(name->payload), std::string(status.message())));
  }
  fields_.push_back({name->payload, before.substr(0, before.size() - reader.rest().size())});
  return absl::OkStatus();
}

std::optional<std::string_view> MapIndex::find(std::string_view name) const {
  for (const Field& field : fields_) {
    if (field.name == name) {
      return field.value;
    }
  }
  return std::nullopt;
}

bool MapIndex::in_order(std::string_view first, std::string_view second) const {
  bool seen = false;
  for (const Field& field : fields_) {
    if (field.name == second) {
      return seen;
    }
    seen = seen || field.name == first;
  }
  return false;
}

}  // namespace baton::wire
