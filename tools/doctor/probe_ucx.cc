#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "src/base/unique_fd.h"
#include "src/transport/ucx/context.h"
#include "tools/doctor/probe.h"

namespace baton::doctor {
namespace {

/// UCX writes its log to standard output, where the report belongs alone.
class StdoutToStderr {
 public:
  StdoutToStderr() {
    std::fflush(stdout);
    kept_.reset(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0));
    if (kept_) {
      ::dup2(STDERR_FILENO, STDOUT_FILENO);
    }
  }
  ~StdoutToStderr() {
    std::fflush(stdout);
    if (kept_) {
      ::dup2(kept_.get(), STDOUT_FILENO);
    }
  }
  StdoutToStderr(const StdoutToStderr&) = delete;
  StdoutToStderr& operator=(const StdoutToStderr&) = delete;

 private:
  UniqueFd kept_;
};

}  // namespace

Status probe_ucx(bool rdma, const Options& options) {
  const StdoutToStderr redirected;
  const std::vector<std::string> any_device = {""};
  for (const std::string& rail : options.pd_ucx_rails.empty() ? any_device : options.pd_ucx_rails) {
    const auto context =
        transport::ucx::Context::create(rail, {.rdma = rdma, .tcp = options.insecure_data_plane});
    if (!context.ok()) {
      return context.status();
    }
  }
  return absl::OkStatus();
}

}  // namespace baton::doctor
