#include "baton/key.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "src/base/hex.h"
#include "src/base/key_checker.h"
#include "src/base/text.h"

namespace baton {
namespace {

Status invalid(const std::string& message) {
  return absl::InvalidArgumentError(message);
}

/// The string cut at its '@'s, without copying. Tags stay one piece.
struct Parts {
  static constexpr std::size_t kFixed = 5;
  std::array<std::string_view, kFixed> fixed;  ///< model, world size, worker, hash, dtype
  std::optional<std::string_view> layer;
  std::string_view tags;  ///< "@tag%value@tag%value…" or empty
};

std::string_view take_part(std::string_view& rest) {
  const std::size_t at = rest.find('@');
  const std::string_view part = rest.substr(0, at);
  rest.remove_prefix(part.size());
  return part;
}

/// `rest` is empty or begins with '@'.
std::string_view take_next_part(std::string_view& rest) {
  rest.remove_prefix(1);
  return take_part(rest);
}

bool is_tag(std::string_view part) {
  const std::size_t percent = part.find('%');
  return percent != std::string_view::npos && percent > 0;
}

bool split(std::string_view text, Parts& parts) {
  std::string_view rest = text;
  for (std::size_t i = 0; i < Parts::kFixed; ++i) {
    if (i > 0 && rest.empty()) {
      return false;
    }
    parts.fixed[i] = i == 0 ? take_part(rest) : take_next_part(rest);
  }
  parts.tags = rest;
  if (!rest.empty()) {
    const std::string_view sixth = take_next_part(rest);
    if (sixth.find('%') == std::string_view::npos) {
      parts.layer = sixth;
      parts.tags = rest;
    }
  }
  return true;
}

/// As Python prints an int: no sign, no leading zero.
std::optional<std::uint32_t> parse_number(std::string_view part) {
  std::uint32_t value = 0;
  const char* end = part.data() + part.size();
  const auto [stop, error] = std::from_chars(part.data(), end, value);
  const bool canonical = part.size() == 1 || (!part.empty() && part[0] != '0');
  if (error != std::errc{} || stop != end || !canonical) {
    return std::nullopt;
  }
  return value;
}

Status check_number(std::string_view key, std::string_view what, std::string_view part,
                    std::uint32_t min) {
  const std::optional<std::uint32_t> value = parse_number(part);
  if (value.has_value() && *value >= min) {
    return absl::OkStatus();
  }
  return invalid(fmt::format("key {}: {} {} is no number from {} to {}", quote(key), what,
                             quote(part), min, UINT32_MAX));
}

/// f"{int:x}": "0", or digits that don't begin with 0, perhaps after a '-'.
bool is_python_hex(std::string_view hash) {
  if (hash == "0") {
    return true;
  }
  if (!hash.empty() && hash[0] == '-') {
    hash.remove_prefix(1);
  }
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return !hash.empty() && hash[0] != '0' && std::all_of(hash.begin(), hash.end(), is_digit);
}

Status check_tags(std::string_view key, std::string_view tags) {
  while (!tags.empty()) {
    const std::string_view tag = take_next_part(tags);
    if (!is_tag(tag)) {
      return invalid(fmt::format("key {}: {} is no tag%value", quote(key), quote(tag)));
    }
  }
  return absl::OkStatus();
}

Status check_length_and_text(std::string_view key) {
  if (key.size() > CacheEngineKey::kMaxBytes) {
    return invalid(
        fmt::format("key {}: longer than {} bytes", quote(key), CacheEngineKey::kMaxBytes));
  }
  if (!is_utf8(key)) {
    return invalid(fmt::format("key {}: not UTF-8", quote(key)));
  }
  return absl::OkStatus();
}

/// The checks of parse() and validate(); fills `parts` with views into `key`.
Status check(std::string_view key, Parts& parts) {
  if (Status status = check_length_and_text(key); !status.ok()) {
    return status;
  }
  if (!split(key, parts)) {
    return invalid(
        fmt::format("key {}: fewer than five parts; "
                    "model@world_size@worker_id@chunk_hash@dtype is needed",
                    quote(key)));
  }
  const auto& [model, world_size, worker_id, chunk_hash, dtype] = parts.fixed;
  if (model.empty()) {
    return invalid(fmt::format("key {}: the model name is empty", quote(key)));
  }
  if (Status status = check_number(key, "world size", world_size, 1); !status.ok()) {
    return status;
  }
  if (Status status = check_number(key, "worker id", worker_id, 0); !status.ok()) {
    return status;
  }
  if (!is_python_hex(chunk_hash)) {
    return invalid(
        fmt::format("key {}: chunk hash {} is no lower-case hex number without leading "
                    "zeros",
                    quote(key), quote(chunk_hash)));
  }
  if (const StatusOr<DType> parsed = parse_dtype(dtype); !parsed.ok()) {
    return invalid(fmt::format("key {}: {}", quote(key), std::string(parsed.status().message())));
  }
  if (parts.layer.has_value()) {
    if (Status status = check_number(key, "layer id", *parts.layer, 0); !status.ok()) {
      return status;
    }
  }
  return check_tags(key, parts.tags);
}

}  // namespace

StatusOr<CacheEngineKey> CacheEngineKey::parse(std::string_view text) {
  Parts parts;
  if (Status status = check(text, parts); !status.ok()) {
    return status;
  }
  CacheEngineKey key;
  key.model_name = parts.fixed[0];
  key.world_size = parse_number(parts.fixed[1]).value_or(0);
  key.worker_id = parse_number(parts.fixed[2]).value_or(0);
  key.chunk_hash = parts.fixed[3];
  key.dtype = *parse_dtype(parts.fixed[4]);
  if (parts.layer.has_value()) {
    key.layer_id = parse_number(*parts.layer);
  }
  for (std::string_view rest = parts.tags; !rest.empty();) {
    key.tags.emplace_back(take_next_part(rest));
  }
  return key;
}

Status CacheEngineKey::validate(std::string_view text) {
  Parts parts;
  return check(text, parts);
}

std::string CacheEngineKey::to_string() const {
  std::string out;
  out.reserve(model_name.size() + chunk_hash.size() + 48);
  const auto append_number = [&out](std::uint32_t number) {
    std::array<char, 10> digits;
    const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), number);
    out += '@';
    out.append(digits.data(), written.ptr);
  };
  out += model_name;
  append_number(world_size);
  append_number(worker_id);
  out += '@';
  out += chunk_hash;
  out += '@';
  out += baton::to_string(dtype);
  if (layer_id.has_value()) {
    append_number(*layer_id);
  }
  for (const std::string& tag : tags) {
    out += '@';
    out += tag;
  }
  return out;
}

// ---- many keys ---------------------------------------------------------------------------------

HashPlace find_hash(std::string_view key) {
  std::size_t begin = 0;
  for (int i = 0; i < 3; ++i) {
    const std::size_t at = key.find('@', begin);
    if (at == std::string_view::npos) {
      return {key.size(), key.size()};
    }
    begin = at + 1;
  }
  return {begin, std::min(key.find('@', begin), key.size())};
}

Status KeyChecker::check(std::string_view key) {
  const std::size_t around = before_.size() + behind_.size();
  HexNumber hash;
  if (around > 0 && key.size() > around && key.size() <= CacheEngineKey::kMaxBytes &&
      same_text(key.substr(0, before_.size()), before_) &&
      same_text(key.substr(key.size() - behind_.size()), behind_) &&
      read_hex(key.substr(before_.size(), key.size() - around), hash)) {
    return absl::OkStatus();
  }
  Status status = CacheEngineKey::validate(key);
  if (status.ok()) {
    const HashPlace place = find_hash(key);
    before_ = key.substr(0, place.begin);
    behind_ = key.substr(place.end);
  }
  return status;
}

}  // namespace baton
