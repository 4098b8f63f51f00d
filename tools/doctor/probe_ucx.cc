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

Status probe_ucx(bool rdma, bool tcp) {
  const StdoutToStderr redirected;
  return transport::ucx::Context::create("", {.rdma = rdma, .tcp = tcp}).status();
}

}  // namespace baton::doctor
