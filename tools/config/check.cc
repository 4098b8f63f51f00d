#include "tools/config/check.h"

#include <fmt/format.h>

#include <cstdio>

#include "src/config/environment.h"
#include "src/config/read_config.h"

namespace baton::config {
namespace {

Checked check(const CheckConfig& command) {
  const Environment environment = command.env ? lmcache_environment() : Environment{};
  if (command.path) {
    return {*command.path, read_config_file(*command.path, environment)};
  }
  const auto file = environment.find(std::string(kConfigFileVariable));
  const bool has_file = file != environment.end() && !file->second.empty();
  return {has_file ? file->second : "environment", read_config_of(environment)};
}

void print_errors(const Checked& checked) {
  const auto print = [](const Status& status) {
    fmt::print("error: {}\n", std::string(status.message()));
  };
  if (!checked.result.ok()) {
    print(checked.result.status());
    return;
  }
  for (const Status& error : checked.result->errors) {
    print(error);
  }
}

void print_text(const Checked& checked) {
  if (checked.result.ok()) {
    fmt::print("{}\n", to_table(*checked.result));
    for (const std::string& note : checked.result->notes) {
      fmt::print("note: {}\n", note);
    }
  }
  print_errors(checked);
  fmt::print("{} {}\n", checked.origin,
             checked.starts() ? "starts a backend; `baton doctor --config` says whether this host "
                                "is ready for it"
                              : "does not start");
}

}  // namespace

int check_config(const CheckConfig& command) {
  const Checked checked = check(command);
  if (command.json) {
    fmt::print("{}\n", to_json(checked));
  } else {
    print_text(checked);
  }
  return checked.starts() ? 0 : 1;
}

}  // namespace baton::config
