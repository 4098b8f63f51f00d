// `baton demo`: a handoff between real processes, compared with a run in one.
#pragma once

#include "tools/demo/options.h"

namespace baton::demo {

/// 0: all identical, no page lost. 1: not so, or the run failed; standard error says why. 130:
/// interrupted.
int run_demo(const DemoOptions& options);

}  // namespace baton::demo
