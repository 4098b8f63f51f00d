#include "baton/pd_backend.h"

#include <fmt/format.h>

#include <future>
#include <utility>

#include "src/backend/pd_backend_impl.h"
#include "src/backend/settings.h"
#include "src/sender/opened_request.h"

namespace baton {

StatusOr<std::unique_ptr<PdBackend>> PdBackend::create(const Options& options,
                                                       const CacheLayout& layout,
                                                       FaultInjection* faults) {
  if (Status fine = options.validate(); !fine.ok()) {
    return fine;
  }
  if (Status fine = check_layout(layout, options); !fine.ok()) {
    return fine;
  }
  auto stack =
      Stack::create(options, layout, faults == nullptr ? FaultInjection{} : std::move(*faults));
  if (!stack.ok()) {
    return stack.status();
  }
  return std::unique_ptr<PdBackend>(
      new PdBackend(std::make_unique<Impl>(options, layout, *std::move(stack))));
}

PdBackend::PdBackend(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PdBackend::~PdBackend() {
  close();
}
void PdBackend::close() {
  impl_->close();
}

// ---- sender ------------------------------------------------------------------------------------

void PdBackend::open_request_async(const RequestSpec& spec, Opened opened) {
  auto use = impl_->use(Half::kAny);
  if (!use.ok()) {
    opened(use.status());  // No thread is there to call it from.
    return;
  }
  const Status fine = use->check(Half::kSender);
  auto open = fine.ok() ? to_open_spec(spec, impl_->layout_, use->options())
                        : StatusOr<sender::OpenSpec>(fine);
  use->post([open = std::move(open), opened = std::move(opened)](Stack& stack) mutable {
    if (!open.ok()) {
      opened(open.status());
      return;
    }
    const sender::RequestKey key = open->key;
    stack.sender().open(*std::move(open),
                        [&stack, key, opened = std::move(opened)](
                            StatusOr<std::shared_ptr<StagingReservation>> staging) mutable {
                          if (!staging.ok()) {
                            opened(staging.status());
                            return;
                          }
                          opened(RequestHandle(std::make_shared<detail::OpenedRequest>(
                              key.req_id, key.attempt, *std::move(staging), stack.loop_ref(),
                              stack.sender().release_task(key))));
                        });
  });
}

StatusOr<RequestHandle> PdBackend::open_request(const RequestSpec& spec) {
  if (auto use = impl_->use(Half::kAny); !use.ok() || !use->check_may_wait().ok()) {
    return use.ok() ? use->check_may_wait() : use.status();
  }
  std::promise<StatusOr<RequestHandle>> promise;
  auto result = promise.get_future();
  open_request_async(
      spec, [&promise](StatusOr<RequestHandle> opened) { promise.set_value(std::move(opened)); });
  return result.get();
}

StatusOr<MemoryObj> PdBackend::allocate(const TensorMeta& meta) {
  auto use = impl_->use(Half::kSender);
  if (!use.ok()) {
    return use.status();
  }
  return use->stack().staging().allocate(meta);
}

StatusOr<std::vector<MemoryObj>> PdBackend::batched_allocate(const TensorMeta& meta,
                                                             std::uint32_t count) {
  auto use = impl_->use(Half::kSender);
  if (!use.ok()) {
    return use.status();
  }
  return use->stack().staging().batched_allocate(meta, count);
}

namespace {

/// Hands the keys back as the caller gave them, in order, and keeps the slot until the last.
sender::KeyDone tell_keys(std::shared_ptr<void> slot, std::span<const CacheEngineKey> keys,
                          PdBackend::OnComplete on_complete) {
  return [slot = std::move(slot), next = std::size_t{0},
          own_keys = on_complete ? std::vector<CacheEngineKey>(keys.begin(), keys.end())
                                 : std::vector<CacheEngineKey>(),
          on_complete = std::move(on_complete)](const std::string& /*key*/,
                                                const Status& status) mutable {
    if (on_complete) {
      on_complete(own_keys[next++], status);
    }
  };
}

Status too_many(const Options& options) {
  return absl::ResourceExhaustedError(fmt::format(
      "{} puts and reads are under way, the limit is pd_max_puts; wait for some of them",
      options.pd_max_puts));
}

}  // namespace

StatusOr<PutHandle> PdBackend::batched_submit_put_task(std::span<const CacheEngineKey> keys,
                                                       std::span<const MemoryObj> memory_objs,
                                                       const TransferSpec& transfer_spec,
                                                       OnComplete on_complete_callback) {
  auto use = impl_->use(Half::kSender);
  if (!use.ok()) {
    return use.status();
  }
  auto put = to_put_spec(keys, memory_objs, transfer_spec, impl_->layout_, use->options(),
                         &use->stack().buffer());
  if (!put.ok()) {
    return put.status();
  }
  auto address = to_address(transfer_spec, impl_->layout_.worker_id);
  if (!address.ok()) {
    return address.status();
  }
  std::shared_ptr<void> slot = impl_->take_slot(*use);
  if (slot == nullptr) {
    return too_many(use->options());
  }
  put->on_key_done = tell_keys(std::move(slot), keys, std::move(on_complete_callback));
  auto state = std::make_shared<detail::PutState>(use->stack().loop());
  use->post([address = *std::move(address), put = *std::move(put), state](Stack& stack) mutable {
    stack.sender().submit(address, std::move(put), std::move(state));
  });
  return PutHandle(std::move(state));
}

StatusOr<ReadHandle> PdBackend::batched_submit_read_task(std::span<const CacheEngineKey> keys,
                                                         std::span<const MemoryObj> local_objs,
                                                         const TransferSpec& transfer_spec,
                                                         OnComplete on_complete_callback) {
  auto use = impl_->use(Half::kSender);
  if (!use.ok()) {
    return use.status();
  }
  auto read = to_read_spec(keys, local_objs, transfer_spec, impl_->layout_, use->options(),
                           &use->stack().buffer());
  if (!read.ok()) {
    return read.status();
  }
  auto address = to_address(transfer_spec, impl_->layout_.worker_id);
  if (!address.ok()) {
    return address.status();
  }
  std::shared_ptr<void> slot = impl_->take_slot(*use);
  if (slot == nullptr) {
    return too_many(use->options());
  }
  read->on_key_done = tell_keys(std::move(slot), keys, std::move(on_complete_callback));
  auto state = std::make_shared<detail::ReadState>(use->stack().loop());
  use->post([address = *std::move(address), read = *std::move(read), state](Stack& stack) mutable {
    stack.sender().submit_read(address, std::move(read), std::move(state));
  });
  return ReadHandle(std::move(state));
}

// ---- both --------------------------------------------------------------------------------------

Status PdBackend::cancel_request(const std::string& req_id) {
  const auto found = impl_->call(Half::kAny, [&req_id](Stack& stack) {
    bool any = false;
    if (stack.has_sender()) {
      any |= stack.sender().cancel(req_id,
                                   absl::CancelledError(std::string("cancelled by the caller")));
    }
    if (stack.has_receiver()) {
      any |= stack.receiver().cancel_request(req_id);
    }
    return any;
  });
  if (!found.ok()) {
    return found.status();
  }
  return *found ? absl::OkStatus()
                : absl::NotFoundError(fmt::format("no request {} is open", req_id));
}

BackendStats PdBackend::stats() {
  const auto stats = impl_->call(Half::kAny, [](Stack& stack) {
    BackendStats result;
    if (stack.has_sender()) {
      const auto staging = stack.staging().counts();
      const auto sender = stack.sender().stats();
      result.staging_pages_total = staging.total;
      result.staging_pages_free = staging.free;
      result.staging_pages_reserved = staging.reserved;
      result.requests = sender.requests;
      result.requests_waiting = staging.waiting;
      result.puts = sender.puts;
      result.reads = sender.reads;
      result.peers = sender.links;
    }
    if (!stack.has_receiver()) {
      result.pages_total = result.staging_pages_total;
      result.pages_free = result.staging_pages_free;
      result.pages_reserved = result.staging_pages_reserved;
      return result;
    }
    const auto receiver = stack.receiver().stats();
    result.pages_total = receiver.pages.total;
    result.pages_free = receiver.pages.free + receiver.pages.ahead;
    result.pages_reserved = receiver.pages.reserved;
    result.pages_ahead = receiver.pages.ahead;
    result.pages_granted = receiver.pages.granted;
    result.pages_held = receiver.pages.held;
    result.pages_retained = receiver.pages.retained;
    result.pages_quarantined = receiver.pages.quarantined;
    result.requests += receiver.requests;
    result.requests_waiting += receiver.waiting;
    result.reads_served = receiver.reads;
    result.peers += receiver.peers;
    result.rejected_messages = receiver.rejected_messages;
    result.peers_cut_off = receiver.cut_off;
    return result;
  });
  return stats.ok() ? *stats : BackendStats{};
}

std::vector<std::string> PdBackend::transports() const {
  return impl_->transports();
}

std::vector<std::string> PdBackend::transports_in_use() {
  return impl_->call(Half::kSender, [](Stack& stack) { return stack.sender().transports_in_use(); })
      .value_or(std::vector<std::string>{});
}

Role PdBackend::role() const {
  return impl_->role();
}
Status PdBackend::change_role(Role role) {
  return impl_->change_role(role);
}

std::uint16_t PdBackend::init_port() const {
  return impl_->init_port();
}
std::uint16_t PdBackend::query_port() const {
  return impl_->query_port();
}
std::uint16_t PdBackend::alloc_port() const {
  return impl_->alloc_port();
}

}  // namespace baton
