// The visitor that reads a message's fields (see fields.h).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "baton/status.h"
#include "src/wire/fields.h"
#include "src/wire/limits.h"
#include "src/wire/map_index.h"
#include "src/wire/values.h"

namespace baton::wire {

/// Keeps the first error and does nothing after it.
class FieldReader {
 public:
  FieldReader(const MapIndex& map, const Limits& limits) : map_(map), limits_(limits) {}

  template <typename T>
  void field(std::string_view name, T& out) {
    read(name, Presence::kRequired, [&](Reader& reader) { return get(reader, limits_, out); });
  }

  template <typename T>
  void defaulted(std::string_view name, T& out) {
    read(name, Presence::kOptional, [&](Reader& reader) { return get(reader, limits_, out); });
  }

  void shape(std::string_view name, std::vector<std::int64_t>& out) {
    read(name, Presence::kRequired,
         [&](Reader& reader) { return get_shape(reader, limits_, out); });
  }

  void blob(std::string_view name, std::string& out) {
    read(name, Presence::kRequired, [&](Reader& reader) { return get_blob(reader, limits_, out); });
  }

  void page_list(std::string_view name, std::string& out) {
    read(name, Presence::kRequired,
         [&](Reader& reader) { return get_page_list(reader, limits_, out); });
  }

  void optional_blob(std::string_view name, std::optional<std::string>& out) {
    read(name, Presence::kOptional,
         [&](Reader& reader) { return get_blob(reader, limits_, out.emplace()); });
  }

  void transports(std::string_view names, std::string_view offers,
                  std::vector<TransportOffer>& out) {
    read(names, Presence::kRequired,
         [&](Reader& reader) { return get_names(reader, limits_, out); });
    read(offers, Presence::kRequired,
         [&](Reader& reader) { return get_offers(reader, limits_, out); });
  }

  void attempts(std::string_view req_ids, std::string_view numbers, std::vector<AttemptName>& out) {
    read(req_ids, Presence::kRequired,
         [&](Reader& reader) { return get_req_ids(reader, limits_, out); });
    read(numbers, Presence::kRequired,
         [&](Reader& reader) { return get_attempts(reader, limits_, out); });
  }

  template <typename Struct>
  void all_or_none(std::optional<Struct>& out) {
    const Group group = read_group(out);
    if (out.has_value() && group.first_missing.has_value()) {
      fail_missing(*group.first_missing);
    }
  }

  template <typename Struct>
  void any_or_none(std::optional<Struct>& out) {
    read_group(out);
  }

  void in_order(bool& flag, std::string_view first, std::string_view second) const {
    flag = map_.in_order(first, second);
  }

  const Status& status() const { return status_; }

 private:
  enum class Presence : std::uint8_t { kRequired, kOptional };

  /// What was met of an optional struct.
  struct Group {
    bool present = false;
    std::optional<std::string_view> first_missing;
  };

  template <typename Struct>
  Group read_group(std::optional<Struct>& out) {
    Group group;
    group_ = &group;
    fields(*this, out.emplace(Struct{}));
    group_ = nullptr;
    if (!group.present) {
      out.reset();
    }
    return group;
  }

  template <typename Get>
  void read(std::string_view name, Presence presence, Get get_value) {
    if (!status_.ok()) {
      return;
    }
    const std::optional<std::string_view> value = map_.find(name);
    if (!value.has_value()) {
      if (presence == Presence::kRequired) {
        on_missing(name);
      }
      return;
    }
    if (group_ != nullptr) {
      group_->present = true;
    }
    Reader reader(*value);
    if (const Status status = get_value(reader); !status.ok()) {
      fail(name, status);
    }
  }

  void on_missing(std::string_view name);
  void fail_missing(std::string_view name);
  void fail(std::string_view name, const Status& status);

  const MapIndex& map_;
  const Limits& limits_;
  Group* group_ = nullptr;
  Status status_;
};

}  // namespace baton::wire
