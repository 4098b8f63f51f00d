// What the cases of a run share.
#pragma once

#include <absl/functional/function_ref.h>

#include <memory>
#include <string>
#include <vector>

#include "tools/bench/options.h"
#include "tools/bench/result.h"
#include "tools/bench/worker.h"

namespace baton::bench {

/// One run: options, progress, and the samples of each case.
class Run {
 public:
  Run(const BenchOptions& options, int interrupt_fd);

  const BenchOptions& options() const { return options_; }
  bool quick() const { return options_.quick; }
  /// `normal`, or next to nothing in a quick run.
  template <typename T>
  T sized(T normal, T quick) const {
    return options_.quick ? quick : normal;
  }
  Report& report() { return report_; }

  std::unique_ptr<Worker> start(const std::string& role, const std::string& name, Json arguments);

  /// True if the user wants this case; says so on the progress line.
  bool begin(const std::string& name);

  /// Fills `result` with interleaved pairs: every second one begins with the reference. The two
  /// functions return one sample each, in the result's unit. `workers`: whose processor time is
  /// reported.
  void measure(CaseResult& result, const std::vector<Worker*>& workers, bool more_is_better,
               absl::FunctionRef<double()> baton, absl::FunctionRef<double()> reference);

  /// For the roofline: a median.
  void note(const std::string& what, double value, const std::string& unit);

  void finish(CaseResult result);
  void end_progress();

 private:
  void progress(const std::string& text);

  const BenchOptions& options_;
  const int interrupt_fd_;
  const bool on_terminal_;
  std::string case_;
  std::size_t line_bytes_ = 0;
  Report report_;
};

void run_put_cases(Run& run);
void run_latency_cases(Run& run);
void run_control_cases(Run& run);
void run_scale_cases(Run& run);
void run_idle_cases(Run& run);

}  // namespace baton::bench
