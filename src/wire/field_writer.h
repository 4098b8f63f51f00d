// The visitor that writes a message's fields (see fields.h).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/wire/fields.h"
#include "src/wire/values.h"
#include "src/wire/writer.h"

namespace baton::wire {

class FieldWriter {
 public:
  explicit FieldWriter(std::string memory = {}) : body_(std::move(memory)) { body_.map(0); }

  template <typename T>
  void field(std::string_view name, const T& value) {
    begin(name);
    put(body_, value);
  }

  /// LMCache's encoder writes defaults too.
  template <typename T>
  void defaulted(std::string_view name, const T& value) {
    field(name, value);
  }

  void shape(std::string_view name, const std::vector<std::int64_t>& value) { field(name, value); }

  void blob(std::string_view name, std::string_view value) {
    begin(name);
    put_blob(body_, value);
  }

  void page_list(std::string_view name, std::string_view value) { blob(name, value); }

  void optional_blob(std::string_view name, const std::optional<std::string>& value) {
    if (value.has_value()) {
      blob(name, *value);
    }
  }

  void transports(std::string_view names, std::string_view offers,
                  const std::vector<TransportOffer>& value) {
    begin(names);
    put_names(body_, value);
    begin(offers);
    put_offers(body_, value);
  }

  void attempts(std::string_view req_ids, std::string_view numbers,
                const std::vector<AttemptName>& value) {
    begin(req_ids);
    put_req_ids(body_, value);
    begin(numbers);
    put_attempts(body_, value);
  }

  template <typename Struct>
  void all_or_none(const std::optional<Struct>& value) {
    if (value.has_value()) {
      fields(*this, *value);
    }
  }

  template <typename Struct>
  void any_or_none(const std::optional<Struct>& value) {
    all_or_none(value);
  }

  void in_order(bool /*flag*/, std::string_view /*first*/, std::string_view /*second*/) {}

  /// The whole map.
  std::string take() && {
    Writer head;
    head.map(count_);
    std::string bytes = std::move(body_).take();
    if (head.bytes().size() == 1) {
      bytes[0] = head.bytes()[0];
    } else {
      bytes.replace(0, 1, head.bytes());
    }
    return bytes;
  }

 private:
  void begin(std::string_view name) {
    ++count_;
    body_.str(name);
  }

  Writer body_;  ///< with the head of an empty map, until the count is known
  std::size_t count_ = 0;
};

}  // namespace baton::wire
