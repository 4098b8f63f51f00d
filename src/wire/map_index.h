// The fields of an encoded message, found but not yet understood.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "baton/status.h"
#include "src/wire/limits.h"

namespace baton::wire {

/// Views into the message's bytes, which must outlive it.
class MapIndex {
 public:
  /// One map, all of its items well-formed and within the limits, no name twice, no byte after it.
  /// Allocates for max_fields fields at most.
  static StatusOr<MapIndex> parse(std::string_view bytes, const Limits& limits);

  /// The encoded value.
  std::optional<std::string_view> find(std::string_view name) const;

  /// Whether both fields are there, `first` before `second`.
  bool in_order(std::string_view first, std::string_view second) const;

 private:
  struct Field {
    std::string_view name;
    std::string_view value;
  };

  Status add(class Reader& reader, const Limits& limits);

  std::vector<Field> fields_;
};

}  // namespace baton::wire
