#include "src/transport/ucx/worker.h"

#include <sys/epoll.h>
#include <ucp/api/ucp.h>

#include <utility>

namespace baton::transport::ucx {
namespace {

/// Others want turns, too.
constexpr int kMaxProgressPerTurn = 64;

}  // namespace

StatusOr<std::unique_ptr<Worker>> Worker::create(Reactor& reactor, const Context& context,
                                                 Duration spin, Progressed progressed) {
  if (!context.ports_are_alive()) {
    return absl::UnavailableError(
        std::string("this host's RDMA port is down (see `rdma link`, `baton doctor`)"));
  }
  ucp_worker_params_t params{};
  params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
  params.thread_mode = UCS_THREAD_MODE_SINGLE;
  ucp_worker_h made = nullptr;
  Status status =
      to_status(ucp_worker_create(context.get(), &params, &made), "no UCX worker can be made");
  if (!status.ok()) {
    return status;
  }
  std::unique_ptr<Worker> worker(new Worker(reactor, made, spin, std::move(progressed)));
  if (Status started = worker->start(); !started.ok()) {
    return started;
  }
  return worker;
}

Worker::Worker(Reactor& reactor, ucp_worker_h worker, Duration spin, Progressed progressed)
    : reactor_(reactor), worker_(worker), spin_(spin), progressed_(std::move(progressed)) {}

Worker::~Worker() {
  if (event_fd_ >= 0) {
    reactor_.unwatch(event_fd_);
  }
  ucp_worker_destroy(worker_);
}

Status Worker::start() {
  int fd = -1;
  Status got = to_status(ucp_worker_get_efd(worker_, &fd), "UCX gives no event descriptor");
  if (!got.ok()) {
    return got;
  }
  event_fd_ = fd;
  reactor_.watch(event_fd_, EPOLLIN, [this](std::uint32_t) { turn(); });
  turn_later();  // Only an armed worker says when there is something to do.
  return absl::OkStatus();
}

StatusOr<std::string> Worker::address() const {
  ucp_address_t* bytes = nullptr;
  std::size_t size = 0;
  Status got =
      to_status(ucp_worker_get_address(worker_, &bytes, &size), "the UCX worker has no address");
  if (!got.ok()) {
    return got;
  }
  std::string address(reinterpret_cast<const char*>(bytes), size);
  ucp_worker_release_address(worker_, bytes);
  return address;
}

void Worker::wake() {
  spin_until_ = reactor_.now() + spin_;
  turn_later();
}

bool Worker::progress_once() {
  return ucp_worker_progress(worker_) != 0;
}

void Worker::turn_later() {
  if (!std::exchange(turn_posted_, true)) {
    reactor_.post(lifetime_.guard([this] {
      turn_posted_ = false;
      turn();
    }));
  }
}

void Worker::catch_up() {
  if (progress_some() > 0) {
    turn_later();
  }
}

/// How often something happened; after kMaxProgressPerTurn times there may be more to do.
int Worker::progress_some() {
  int moved = 0;
  while (moved < kMaxProgressPerTurn && progress_once()) {
    ++moved;
  }
  if (moved > 0) {
    spin_until_ = reactor_.now() + spin_;
  }
  return moved;
}

/// Sleeps if nothing is left to do. An armed worker says when something comes; but what came just
/// before it was armed some devices never mention.
Status Worker::rest() {
  const ucs_status_t armed = ucp_worker_arm(worker_);
  if (armed == UCS_ERR_BUSY || (armed == UCS_OK && progress_once())) {
    turn_later();
    return absl::OkStatus();
  }
  return to_status(armed, "the RDMA device no longer says when it is done");
}

void Worker::turn() {
  Status health;
  if (progress_some() == kMaxProgressPerTurn || reactor_.now() < spin_until_) {
    turn_later();
  } else {
    health = rest();
  }
  if (!health.ok()) {
    reactor_.unwatch(std::exchange(event_fd_, -1));
  }
  progressed_(health);
}

}  // namespace baton::transport::ucx
