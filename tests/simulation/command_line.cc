#include "tests/simulation/command_line.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <map>

#include "tests/simulation/plants/planted.h"

namespace baton::simulation {
namespace {

bool parse_number(std::string_view text, std::uint64_t& number) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
}

/// "A..B", both included.
std::string parse_seeds(const std::string& text, Command& command) {
  const std::size_t dots = text.find("..");
  if (dots == std::string::npos || !parse_number(text.substr(0, dots), command.first) ||
      !parse_number(text.substr(dots + 2), command.last) || command.first > command.last) {
    return "'" + text + "' is not A..B with A not above B, as in 1..2000";
  }
  return "";
}

void add_plants(CLI::App& app, Command& command) {
  if (all_plants().empty()) {
    return;
  }
  app.add_flag("--plants", command.list_plants, "List the ways in which the logic can be broken");
  app.add_option("--plant", command.plant, "Break the logic in this way; stop when it is noticed")
      ->check([](const std::string& name) {
        return is_plant(name) ? std::string() : "there is no plant '" + name + "'; see --plants";
      });
}

}  // namespace

std::variant<ExitNow, Command> parse_command_line(int argc, char** argv) {
  CLI::App app(
      "Simulates senders, receivers and a proxy on a virtual clock, with faults, and checks "
      "Baton's promises after every event");
  app.footer(
      "The last line: seeds=N events=N completed=N failed=N cancelled=N violations=N\n"
      "Exit status: 0 if no promise was broken, 1 if one was, 2 for wrong arguments.\n\n"
      "Examples:\n  baton-sim --seeds 1..2000 --stats\n  baton-sim --seed 17 --verbose");
  Command command;
  auto* seeds = app.add_option_function<std::string>(
      "--seeds",
      [&command](const std::string& text) {
        if (const std::string wrong = parse_seeds(text, command); !wrong.empty()) {
          throw CLI::ValidationError("--seeds", wrong);
        }
      },
      "Run the seeds A..B, one after the other; the default is 1..1");
  app.add_option_function<std::uint64_t>(
         "--seed", [&command](std::uint64_t seed) { command.first = command.last = seed; },
         "Run this seed; it gives the same history each time")
      ->excludes(seeds);
  app.add_flag("--verbose", command.options.verbose, "Print the history, event by event");
  app.add_flag("--stats", command.stats,
               "Count how often each fault and transition was exercised; say which never was");
  const std::map<std::string, FaultLevel> levels = {{"none", FaultLevel::kNone},
                                                    {"moderate", FaultLevel::kModerate},
                                                    {"heavy", FaultLevel::kHeavy}};
  app.add_option("--faults", command.options.faults, "none, moderate (the default) or heavy")
      ->transform(CLI::CheckedTransformer(levels));
  add_plants(app, command);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return ExitNow{app.exit(error) == 0 ? 0 : kUsageError};
  }
  return command;
}

}  // namespace baton::simulation
