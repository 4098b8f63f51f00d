// `baton bench`: how fast the handoff is, beside what the machine could do.
#pragma once

#include "tools/bench/options.h"

namespace baton::bench {

/// 0: everything was measured (whatever came out). 1: something failed; standard error says what.
/// 130: interrupted.
int run_bench(const BenchOptions& options);

}  // namespace baton::bench
