// What was asked for on the command line of baton-sim.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "tests/simulation/simulation.h"

namespace baton::simulation {

inline constexpr int kUsageError = 2;

/// Help was shown, or the arguments were wrong, which was said: end with this status.
struct ExitNow {
  int status = 0;
};

struct Command {
  std::uint64_t first = 1;
  std::uint64_t last = 1;
  Options options;
  bool stats = false;
  bool list_plants = false;
  std::string plant;  ///< empty: the logic as it is
};

std::variant<ExitNow, Command> parse_command_line(int argc, char** argv);

}  // namespace baton::simulation
