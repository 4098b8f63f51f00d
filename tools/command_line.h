// What was asked for on the command line.
#pragma once

#include <variant>

#include "tools/bench/options.h"
#include "tools/config/check.h"
#include "tools/demo/options.h"
#include "tools/doctor/doctor.h"
#include "tools/keys.h"

namespace baton {

/// Help or version was shown, or the arguments were wrong, which was said: end with this status.
struct ExitNow {
  int status = 0;
};

using Command = std::variant<ExitNow, demo::DemoOptions, doctor::DoctorOptions, GenerateKeys,
                             ShowKey, config::CheckConfig, bench::BenchOptions>;

inline constexpr int kUsageError = 2;

Command parse_command_line(int argc, char** argv);

}  // namespace baton
