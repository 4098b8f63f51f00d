#include "src/wire/field_reader.h"

#include <fmt/format.h>

namespace baton::wire {

void FieldReader::on_missing(std::string_view name) {
  if (group_ == nullptr) {
    fail_missing(name);
  } else if (!group_->first_missing.has_value()) {
    group_->first_missing = name;
  }
}

void FieldReader::fail_missing(std::string_view name) {
  if (status_.ok()) {
    status_ = absl::InvalidArgumentError(fmt::format("field '{}' is missing", name));
  }
}

void FieldReader::fail(std::string_view name, const Status& status) {
  status_ =
      absl::InvalidArgumentError(fmt::format("field '{}' {}", name, std::string(status.message())));
}

}  // namespace baton::wire
