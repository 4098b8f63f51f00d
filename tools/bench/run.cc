#include "tools/bench/run.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "tools/bench/failed.h"

namespace baton::bench {
namespace {

constexpr std::uint32_t kUsualPairs = 21;

}  // namespace

Run::Run(const BenchOptions& options, int interrupt_fd)
    : options_(options), interrupt_fd_(interrupt_fd), on_terminal_(::isatty(STDERR_FILENO) == 1) {}

std::unique_ptr<Worker> Run::start(const std::string& role, const std::string& name,
                                   Json arguments) {
  progress("starting " + name);
  return std::make_unique<Worker>(role, name, std::move(arguments), interrupt_fd_);
}

bool Run::begin(const std::string& name) {
  const auto& wanted = options_.cases;
  if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), name) == wanted.end()) {
    return false;
  }
  case_ = name;
  return true;
}

void Run::measure(CaseResult& result, const std::vector<Worker*>& workers, bool more_is_better,
                  absl::FunctionRef<double()> baton, absl::FunctionRef<double()> reference) {
  const std::uint32_t warm_up = sized(2, 1);
  const std::uint32_t pairs = options_.quick       ? kQuickPairs
                              : options_.pairs > 0 ? options_.pairs
                                                   : kUsualPairs;
  std::vector<double> cpu_before;
  for (std::uint32_t i = 0; i < warm_up + pairs; ++i) {
    if (on_terminal_ || i == 0) {
      progress(fmt::format("pair {} of {}", i + 1, warm_up + pairs));
    }
    pollfd interrupt{interrupt_fd_, POLLIN, 0};
    if (::poll(&interrupt, 1, 0) > 0) {
      throw Interrupted();
    }
    if (i == warm_up) {
      for (const Worker* worker : workers) {
        cpu_before.push_back(worker->cpu_seconds());
      }
    }
    double of_baton = 0;
    double of_reference = 0;
    if (i % 2 == 0) {
      of_baton = baton();
      of_reference = reference();
    } else {
      of_reference = reference();
      of_baton = baton();
    }
    if (i >= warm_up) {
      result.baton_samples.push_back(of_baton);
      result.reference_samples.push_back(of_reference);
    }
  }
  for (std::size_t i = 0; i < workers.size(); ++i) {
    result.cpu_seconds[workers[i]->name()] = workers[i]->cpu_seconds() - cpu_before[i];
  }
  result.baton = median(result.baton_samples);
  result.reference = median(result.reference_samples);
  result.ratio = bootstrap_ratio(result.baton_samples, result.reference_samples, more_is_better);
  result.settings["pairs"] = pairs;
}

void Run::note(const std::string& what, double value, const std::string& unit) {
  report_.roofline[what] = {{"value", value}, {"unit", unit}};
}

void Run::finish(CaseResult result) {
  report_.results.push_back(std::move(result));
}

void Run::progress(const std::string& text) {
  std::string line = fmt::format("{}: {}", case_, text);
  if (!on_terminal_) {
    fmt::print(stderr, "{}\n", line);
    std::fflush(stderr);
    return;
  }
  const std::size_t bytes = line.size();
  line.resize(std::max(bytes, line_bytes_), ' ');
  line_bytes_ = bytes;
  fmt::print(stderr, "\r{}", line);
  std::fflush(stderr);
}

void Run::end_progress() {
  if (on_terminal_ && line_bytes_ > 0) {
    fmt::print(stderr, "\r{}\r", std::string(line_bytes_, ' '));
    std::fflush(stderr);
  }
}

}  // namespace baton::bench
