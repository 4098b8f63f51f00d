#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "baton/options.h"
#include "src/config/environment.h"
#include "src/config/read_config.h"

namespace baton {
namespace config {
namespace {

Status in(std::string_view origin, const std::string& message) {
  return absl::InvalidArgumentError(fmt::format("{}: {}", origin, message));
}

/// A megabyte and one byte at most, so that parsing can tell that it is too much.
StatusOr<std::string> read_file(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return in(path, error ? error.message() : "is no regular file");
  }
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxYamlBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad() || (file.fail() && !file.eof())) {
    return in(path, "can't be read");
  }
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

}  // namespace

StatusOr<Resolution> read_config(std::string_view yaml, std::string_view origin,
                                 const Environment& environment) {
  const StatusOr<std::vector<YamlEntry>> entries = parse_yaml(yaml, origin);
  if (!entries.ok()) {
    return entries.status();
  }
  return resolve(*entries, environment, origin);
}

StatusOr<Resolution> read_config_file(const std::string& path, const Environment& environment) {
  const StatusOr<std::string> text = read_file(path);
  if (!text.ok()) {
    return text.status();
  }
  return read_config(*text, path, environment);
}

StatusOr<Resolution> read_config_of(const Environment& environment) {
  const auto file = environment.find(std::string(kConfigFileVariable));
  return file == environment.end() || file->second.empty()
             ? resolve({}, environment, "environment")
             : read_config_file(file->second, environment);
}

namespace {

StatusOr<ParsedOptions> parsed(StatusOr<Resolution> resolution) {
  if (!resolution.ok()) {
    return resolution.status();
  }
  if (!resolution->errors.empty()) {
    return resolution->errors.front();
  }
  return ParsedOptions{std::move(resolution->options), std::move(resolution->notes)};
}

}  // namespace
}  // namespace config

StatusOr<ParsedOptions> parse_options(std::string_view yaml, std::string_view origin,
                                      const Environment& environment) {
  return config::parsed(config::read_config(yaml, origin, environment));
}

StatusOr<ParsedOptions> load_options(const std::string& path, const Environment& environment) {
  return config::parsed(config::read_config_file(path, environment));
}

StatusOr<ParsedOptions> load_options_from_environment(const Environment& environment) {
  return config::parsed(config::read_config_of(environment));
}

}  // namespace baton
