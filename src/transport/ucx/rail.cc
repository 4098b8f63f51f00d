#include "src/transport/ucx/rail.h"

#include <fmt/format.h>
#include <ucp/api/ucp.h>

#include <chrono>
#include <utility>

#include "src/transport/ucx/lanes.h"
#include "src/transport/ucx/memory_type.h"

namespace baton::transport::ucx {
namespace {

/// A pulse that only listens: it gives up when nothing was heard for `limit`.
TcpOptions only_listening(Duration limit) {
  TcpOptions options;
  options.heartbeat_interval = limit / 5;
  options.silence_limit = limit;
  return options;
}

}  // namespace

StatusOr<std::unique_ptr<Rail>> Rail::connect(Reactor& reactor, const Context& context,
                                              const UcxOptions& options, const Target& target,
                                              const Welcome::Rail& peer, RailOwner& owner) {
  std::unique_ptr<Rail> rail(new Rail(reactor, context, options, target, owner));
  if (Status started = rail->start(peer); !started.ok()) {
    return started;
  }
  return rail;
}

Rail::Rail(Reactor& reactor, const Context& context, const UcxOptions& options,
           const Target& target, RailOwner& owner)
    : reactor_(reactor),
      context_(context),
      options_(options),
      target_(target),
      owner_(owner),
      stall_options_(only_listening(options.stall_limit)) {}

Status Rail::start(const Welcome::Rail& peer) {
  auto worker = Worker::create(reactor_, context_, options_.spin,
                               [this](const Status& health) { on_progressed(health); });
  if (!worker.ok()) {
    return worker.status();
  }
  worker_ = *std::move(worker);
  ucp_ep_params_t params{};
  params.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE |
                      UCP_EP_PARAM_FIELD_ERR_HANDLER;
  params.address = reinterpret_cast<const ucp_address_t*>(peer.worker_address.data());
  // Without it a put to a dead peer never ends, and the endpoint can't be closed by force.
  params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
  params.err_handler = {.cb = &Rail::on_error, .arg = this};
  Status status = to_status(ucp_ep_create(worker_->get(), &params, &endpoint_),
                            "UCX sees no way to the receiver's device (see `baton doctor`)");
  if (status.ok()) {
    status = to_status(ucp_ep_rkey_unpack(endpoint_, peer.rkey.data(), &rkey_),
                       "the key of the receiver's buffer is of no use here");
  }
  if (status.ok()) {
    push({});  // Its flush waits until the queue pairs are connected.
  }
  return status;
}

std::string Rail::lanes() const {
  return lanes_of(endpoint_);
}

std::uint64_t Rail::unfinished_bytes() const {
  std::uint64_t bytes = unfinished_bytes_;
  for (const Part& part : parts_) {
    bytes -= part.complete ? part.bytes : 0;
  }
  return bytes;
}

std::uint64_t Rail::push(const std::vector<RailOp>& ops) {
  Part& part = parts_.emplace_back(Part{.rail = this, .bytes = 0, .ops_left = ops.size()});
  for (const RailOp& op : ops) {
    part.bytes += std::visit([](const auto& range) { return range.local.size(); }, op);
    queue_.push_back(op);
  }
  unfinished_bytes_ += part.bytes;
  issue();
  return ++last_pushed_;
}

void Rail::issue() {
  bool issued = false;
  while (trouble_.ok() && parts_issued_ < parts_.size() && ops_ < options_.max_under_way) {
    Part& part = parts_[parts_issued_];
    if (part.ops_left == 0) {
      ++parts_issued_;
      flush(part);
      issued = true;
      continue;
    }
    --part.ops_left;
    move(queue_.front());
    queue_.pop_front();
    issued = true;
  }
  watch_for_stalls();
  if (issued) {
    worker_->wake();
  }
}

void Rail::move(const RailOp& op) {
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA |
                       UCP_OP_ATTR_FIELD_MEMORY_TYPE | UCP_OP_ATTR_FIELD_MEMH;
  param.cb.send = &Rail::on_moved;
  param.user_data = this;
  param.memory_type = to_memory_type(context_.memory_kind());
  param.memh = context_.memory();
  const auto remote = [this](const auto& range) {
    return target_.base_address + range.page * target_.page_bytes + range.offset_bytes;
  };
  ucs_status_ptr_t request = nullptr;
  if (const auto* write = std::get_if<WriteOp>(&op)) {
    request = ucp_put_nbx(endpoint_, write->local.data(), write->local.size(), remote(*write),
                          rkey_, &param);
  } else {
    const auto& read = std::get<ReadOp>(op);
    request =
        ucp_get_nbx(endpoint_, read.local.data(), read.local.size(), remote(read), rkey_, &param);
  }
  if (UCS_PTR_IS_PTR(request)) {
    ++ops_;
  } else {
    completed(UCS_PTR_STATUS(request));
  }
}

void Rail::flush(Part& part) {
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  param.cb.send = &Rail::on_flushed;
  param.user_data = &part;
  void* const request = ucp_ep_flush_nbx(endpoint_, &param);
  if (UCS_PTR_IS_PTR(request)) {
    ++flushes_;
  } else {
    part.complete = UCS_PTR_STATUS(request) == UCS_OK;
    completed(UCS_PTR_STATUS(request));
  }
}

void Rail::on_moved(void* request, ucs_status_t status, void* rail) {
  auto* const self = static_cast<Rail*>(rail);
  --self->ops_;
  self->completed(status);
  ucp_request_free(request);
}

void Rail::on_flushed(void* request, ucs_status_t status, void* part) {
  auto* const flushed = static_cast<Part*>(part);
  flushed->complete = status == UCS_OK;
  --flushed->rail->flushes_;
  flushed->rail->completed(status);
  ucp_request_free(request);
}

void Rail::on_error(void* rail, ucp_ep_h /*endpoint*/, ucs_status_t status) {
  static_cast<Rail*>(rail)->completed(status);
}

void Rail::completed(ucs_status_t status) {
  if (status != UCS_OK) {
    trouble_.Update(to_status(status, "RDMA to the receiver fails"));
  } else if (stall_) {
    stall_->heard();
  }
}

void Rail::on_progressed(const Status& health) {
  trouble_.Update(health);
  if (!trouble_.ok()) {
    fail(trouble_);
    return;
  }
  const std::uint64_t before = last_completed_;
  while (!parts_.empty() && parts_.front().complete) {
    unfinished_bytes_ -= parts_.front().bytes;
    parts_.pop_front();
    --parts_issued_;
    ++last_completed_;
  }
  if (parts_issued_ < parts_.size()) {
    issue();
  }
  watch_for_stalls();
  if (last_completed_ != before) {
    owner_.on_rail_completed();
  }
}

void Rail::watch_for_stalls() {
  if (!under_way()) {
    stall_.reset();
  } else if (!stall_) {
    stall_.emplace(
        reactor_, stall_options_,
        tcp::Pulse::Actions{
            .beat = [this] { worker_->wake(); },
            .give_up =
                [this](const Status& /*why*/) {
                  fail(absl::UnavailableError(fmt::format(
                      "nothing written to or read from the receiver has ended for {} ms",
                      std::chrono::duration_cast<std::chrono::milliseconds>(options_.stall_limit)
                          .count())));
                }});
  }
}

// By value: the rail may end in it, with its own status.
void Rail::fail(Status why) {  // NOLINT(performance-unnecessary-value-param)
  close();
  owner_.on_rail_ended(why);
}

void Rail::close() {
  begin_close();
  finish_close(reactor_.now() + kMaxCloseTime);
}

void Rail::begin_close() {
  if (worker_ == nullptr || endpoint_ == nullptr) {
    return;
  }
  stall_.reset();
  trouble_.Update(absl::CancelledError(std::string("the rail is closed")));
  // While the queue pairs are being connected nothing reads local memory; and UCX 1.13 may abort
  // the process when such an endpoint is closed by force, but not when its worker is destroyed.
  if (last_completed_ > 0) {
    ucp_request_param_t param{};
    param.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
    param.flags = UCP_EP_CLOSE_FLAG_FORCE;
    closing_ = ucp_ep_close_nbx(endpoint_, &param);
  }
  endpoint_ = nullptr;
}

void Rail::finish_close(TimePoint limit) {
  if (worker_ == nullptr) {
    return;
  }
  const bool pending = UCS_PTR_IS_PTR(closing_);
  const bool waits = last_completed_ > 0;
  while (waits && reactor_.now() < limit &&
         (under_way() || (pending && ucp_request_check_status(closing_) == UCS_INPROGRESS))) {
    worker_->progress_once();
  }
  if (pending) {
    ucp_request_free(std::exchange(closing_, nullptr));
  }
  if (rkey_ != nullptr) {
    ucp_rkey_destroy(std::exchange(rkey_, nullptr));
  }
  worker_.reset();  // With its queue pairs, whatever they still had to do.
}

}  // namespace baton::transport::ucx
