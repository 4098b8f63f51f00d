#include "src/config/resolve.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <variant>

#include "src/config/environment.h"
#include "src/config/known_keys.h"
#include "src/config/option_text.h"
#include "src/config/option_values.h"

namespace baton::config {
namespace {

constexpr std::string_view kNotHandedOver = "LMCache's; has nothing to do with handing KV over";
constexpr std::string_view kUnknownVariable = "no key of Baton's or LMCache's";

struct Given {
  const OptionRow* row;
  Place place;
  YamlValue value;
};

/// The row of the member that `row` sets: a limit in seconds sets the one in milliseconds.
const OptionRow& canonical(const OptionRow& row) {
  const auto* seconds = std::get_if<Seconds>(&row.target);
  return seconds == nullptr ? row : *find_row(seconds->ms_name);
}

bool has_value(const OptionRow& row) {
  return !std::holds_alternative<Unused>(row.target) &&
         !std::holds_alternative<Seconds>(row.target);
}

std::string with_unit(const OptionRow& row, const Options& options) {
  const bool is_time =
      std::holds_alternative<std::chrono::milliseconds Options::*>(canonical(row).target);
  return value_text(canonical(row), options) + (is_time ? " ms" : "");
}

class Resolver {
 public:
  explicit Resolver(std::string_view origin) : origin_(origin) {}

  void read_file(std::span<const YamlEntry> file) {
    for (const YamlEntry& entry : file) {
      Place place{Source::kFile, entry.name, entry.line};
      const Known known = find_key(entry.name);
      if (!known.is_known) {
        fail(place, unknown_key(entry.name));
      } else if (entry.value.kind != YamlValue::Kind::kNull) {
        give(known, std::move(place), entry.value, {});
      }
    }
  }

  void read_environment(const Environment& environment) {
    for (const auto& [variable, text] : environment) {
      const std::optional<std::string> key = key_of_variable(variable);
      if (!key.has_value()) {
        continue;
      }
      Place place{Source::kEnvironment, variable, 0};
      // Not an error: LMCache and what surrounds it have variables that are no keys.
      if (const Known known = find_key(*key); known.is_known) {
        give(known, std::move(place), {}, text);
      } else {
        out_.meaningless.push_back({std::move(place), std::string(kUnknownVariable)});
      }
    }
  }

  Resolution finish() {
    for (const Given& given : given_) {
      if (!is_overridden(given)) {
        assign_given(given);
      }
    }
    check_agreement();
    for (const OptionRow& row : option_table()) {
      if (has_value(row)) {
        Setting& setting = settings_[&row];
        setting.row = &row;
        out_.settings.push_back(setting);
      }
    }
    note_meaningless();
    if (out_.errors.empty()) {
      if (const Status status = out_.options.validate(); !status.ok()) {
        fail({}, std::string(status.message()));
      }
    }
    return std::move(out_);
  }

 private:
  void give(const Known& known, Place place, const YamlValue& value, std::string_view text) {
    if (known.row == nullptr) {
      out_.meaningless.push_back({std::move(place), std::string(kNotHandedOver)});
      return;
    }
    const bool from_file = place.source == Source::kFile;
    given_.push_back(
        {known.row, std::move(place),
         from_file ? as_lmcache_reads(*known.row, value) : value_of_text(*known.row, text)});
  }

  /// What the environment overrides isn't looked at, so that it can mend a file.
  bool is_overridden(const Given& given) const {
    return given.place.source == Source::kFile &&
           std::any_of(given_.begin(), given_.end(), [&](const Given& other) {
             return other.place.source == Source::kEnvironment &&
                    &canonical(*other.row) == &canonical(*given.row);
           });
  }

  static Status assign_to(const Given& given, Options& options) {
    if (!is_endless(*given.row, given.value)) {
      return assign(*given.row, given.value, options);
    }
    options.*std::get<Seconds>(given.row->target).member =
        std::chrono::milliseconds(given.row->range.max);
    return absl::OkStatus();
  }

  void assign_given(const Given& given) {
    const Status status = assign_to(given, out_.options);
    settings_[&canonical(*given.row)] = {given.row, given.place, !status.ok()};
    if (!status.ok()) {
      fail(given.place, old_name_of(given) + std::string(status.message()));
      return;
    }
    if (is_endless(*given.row, given.value)) {
      note(given.place, fmt::format("{} is for ever; taken as {} s, for every wait of Baton's ends",
                                    given.row->name, given.row->range.max / 1000));
    }
    if (!given.row->note.empty()) {
      out_.meaningless.push_back({given.place, std::string(given.row->note)});
    }
  }

  /// Two names of one value, both in the file or both in the environment.
  void check_agreement() {
    for (auto second = given_.begin(); second != given_.end(); ++second) {
      for (auto first = given_.begin(); first != second; ++first) {
        if (first->place.source == second->place.source && !is_overridden(*first) &&
            &canonical(*first->row) == &canonical(*second->row)) {
          compare(*first, *second);
        }
      }
    }
  }

  void compare(const Given& first, const Given& second) {
    Options of_first;
    Options of_second;
    if (!assign_to(first, of_first).ok() || !assign_to(second, of_second).ok() ||
        with_unit(*first.row, of_first) == with_unit(*second.row, of_second)) {
      return;
    }
    // The old name, or the seconds, are what should go.
    const bool second_is_old = !is_canonical(second);
    const Given& old = second_is_old ? second : first;
    const Given& other = second_is_old ? first : second;
    fail(old.place,
         fmt::format("{} says {}, but {}{} says {}; give one of them", old.place.name,
                     with_unit(*old.row, second_is_old ? of_second : of_first), other.place.name,
                     other.place.line > 0 ? fmt::format(" in line {}", other.place.line) : "",
                     with_unit(*other.row, second_is_old ? of_first : of_second)));
  }

  static std::string written_key(const Given& given) {
    return given.place.source == Source::kEnvironment
               ? key_of_variable(given.place.name).value_or("")
               : given.place.name;
  }

  static bool is_canonical(const Given& given) {
    return written_key(given) == canonical(*given.row).name;
  }

  static std::string old_name_of(const Given& given) {
    return written_key(given) == given.row->name
               ? ""
               : fmt::format("{} is an old name of {}: ", written_key(given), given.row->name);
  }

  /// One line, however many there are.
  void note_meaningless() {
    constexpr std::size_t kMaxNamed = 30;
    std::string names;
    for (std::size_t i = 0; i < std::min(out_.meaningless.size(), kMaxNamed); ++i) {
      names += (i > 0 ? ", " : "") + place_text(out_.meaningless[i].place);
    }
    if (out_.meaningless.size() > kMaxNamed) {
      names += fmt::format(" and {} more", out_.meaningless.size() - kMaxNamed);
    }
    if (!names.empty()) {
      out_.notes.push_back(fmt::format(
          "{}: these mean nothing here: {}; `baton config check` says why", origin_, names));
    }
  }

  std::string at(const Place& place) const {
    if (place.source == Source::kEnvironment) {
      return fmt::format("environment: {}", place.name);
    }
    return place.line > 0 ? fmt::format("{}:{}", origin_, place.line) : std::string(origin_);
  }
  void note(const Place& place, const std::string& text) {
    out_.notes.push_back(fmt::format("{}: {}", at(place), text));
  }
  void fail(const Place& place, const std::string& why) {
    out_.errors.push_back(absl::InvalidArgumentError(fmt::format("{}: {}", at(place), why)));
  }

  std::string_view origin_;
  std::vector<Given> given_;  ///< the file's, then the environment's
  std::map<const OptionRow*, Setting> settings_;
  Resolution out_;
};

}  // namespace

Resolution resolve(std::span<const YamlEntry> file, const Environment& environment,
                   std::string_view origin) {
  Resolver resolver(origin);
  resolver.read_file(file);
  resolver.read_environment(environment);
  return resolver.finish();
}

std::string place_text(const Place& place) {
  return place.line > 0 ? fmt::format("{} (line {})", place.name, place.line) : place.name;
}

}  // namespace baton::config
