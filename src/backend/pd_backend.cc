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
  Impl& impl = *impl_;
  const Status fine = impl.check_role(Role::kSender);
  auto open = fine.ok() ? to_open_spec(spec, impl.layout_, impl.options_)
                        : StatusOr<sender::OpenSpec>(fine);
  auto shared = std::make_shared<Opened>(std::move(opened));
  const bool posted = impl.post([&impl, open = std::move(open), shared]() mutable {
    if (!open.ok()) {
      (*shared)(open.status());
      return;
    }
    const sender::RequestKey key = open->key;
    impl.stack_->sender().open(
        *std::move(open),
        [&impl, key, shared](StatusOr<std::shared_ptr<StagingReservation>> staging) {
          if (!staging.ok()) {
            (*shared)(staging.status());
            return;
          }
          (*shared)(RequestHandle(std::make_shared<detail::OpenedRequest>(
              key.req_id, key.attempt, *std::move(staging), impl.stack_->loop_ref(),
              impl.stack_->sender().release_task(key))));
        });
  });
  if (!posted) {
    (*shared)(Impl::closed_error());  // No thread is left to call it from.
  }
}

StatusOr<RequestHandle> PdBackend::open_request(const RequestSpec& spec) {
  if (Status fine = impl_->check_may_wait(); !fine.ok()) {
    return fine;
  }
  std::promise<StatusOr<RequestHandle>> promise;
  auto result = promise.get_future();
  open_request_async(
      spec, [&promise](StatusOr<RequestHandle> opened) { promise.set_value(std::move(opened)); });
  return result.get();
}

StatusOr<MemoryObj> PdBackend::allocate(const TensorMeta& meta) {
  if (Status fine = impl_->check_open(Role::kSender); !fine.ok()) {
    return fine;
  }
  return impl_->stack_->staging().allocate(meta);
}

StatusOr<std::vector<MemoryObj>> PdBackend::batched_allocate(const TensorMeta& meta,
                                                             std::uint32_t count) {
  if (Status fine = impl_->check_open(Role::kSender); !fine.ok()) {
    return fine;
  }
  return impl_->stack_->staging().batched_allocate(meta, count);
}

StatusOr<PutHandle> PdBackend::batched_submit_put_task(std::span<const CacheEngineKey> keys,
                                                       std::span<const MemoryObj> memory_objs,
                                                       const TransferSpec& transfer_spec,
                                                       OnComplete on_complete_callback) {
  Impl& impl = *impl_;
  if (Status fine = impl.check_open(Role::kSender); !fine.ok()) {
    return fine;
  }
  auto put = to_put_spec(keys, memory_objs, transfer_spec, impl.layout_, impl.options_,
                         &impl.stack_->buffer());
  if (!put.ok()) {
    return put.status();
  }
  auto address = to_address(transfer_spec, impl.layout_.worker_id);
  if (!address.ok()) {
    return address.status();
  }
  std::shared_ptr<void> slot = impl.take_put_slot();
  if (slot == nullptr) {
    return absl::ResourceExhaustedError(
        fmt::format("{} puts are under way, the limit is pd_max_puts; wait for some of them",
                    impl.options_.pd_max_puts));
  }
  put->on_key_done = [slot = std::move(slot), next = std::size_t{0},
                      own_keys = std::vector<CacheEngineKey>(keys.begin(), keys.end()),
                      on_complete = std::move(on_complete_callback)](const std::string& /*key*/,
                                                                     const Status& status) mutable {
    if (on_complete) {
      on_complete(own_keys[next++], status);
    }
  };
  auto state = std::make_shared<detail::PutState>(impl.stack_->loop());
  if (!impl.post([&impl, address = *std::move(address), put = *std::move(put), state]() mutable {
        impl.stack_->sender().submit(address, std::move(put), std::move(state));
      })) {
    return Impl::closed_error();
  }
  return PutHandle(std::move(state));
}

// ---- both --------------------------------------------------------------------------------------

Status PdBackend::cancel_request(const std::string& req_id) {
  const bool sends = impl_->options_.pd_role == Role::kSender;
  const auto found = impl_->call([&req_id, sends](Stack& stack) {
    return sends ? stack.sender().cancel(
                       req_id, absl::CancelledError(std::string("cancelled by the caller")))
                 : stack.receiver().cancel_request(req_id);
  });
  if (!found.ok()) {
    return found.status();
  }
  return *found ? absl::OkStatus()
                : absl::NotFoundError(fmt::format("no request {} is open", req_id));
}

BackendStats PdBackend::stats() {
  const bool sends = impl_->options_.pd_role == Role::kSender;
  const auto stats = impl_->call([sends](Stack& stack) {
    BackendStats result;
    if (sends) {
      const auto staging = stack.staging().counts();
      const auto sender = stack.sender().stats();
      result.pages_total = staging.total;
      result.pages_free = staging.free;
      result.pages_reserved = staging.reserved;
      result.requests = sender.requests;
      result.requests_waiting = staging.waiting;
      result.puts = sender.puts;
      result.peers = sender.links;
      return result;
    }
    const auto receiver = stack.receiver().stats();
    result.pages_total = receiver.pages.total;
    result.pages_free = receiver.pages.free;
    result.pages_reserved = receiver.pages.reserved;
    result.pages_granted = receiver.pages.granted;
    result.pages_held = receiver.pages.held;
    result.pages_retained = receiver.pages.retained;
    result.pages_quarantined = receiver.pages.quarantined;
    result.requests = receiver.requests;
    result.requests_waiting = receiver.waiting;
    result.peers = receiver.peers;
    result.rejected_messages = receiver.rejected_messages;
    result.peers_cut_off = receiver.cut_off;
    return result;
  });
  return stats.ok() ? *stats : BackendStats{};
}

std::vector<std::string> PdBackend::transports() const {
  return impl_->transports_;
}

std::vector<std::string> PdBackend::transports_in_use() {
  if (!impl_->check_role(Role::kSender).ok()) {
    return {};
  }
  return impl_->call([](Stack& stack) { return stack.sender().transports_in_use(); })
      .value_or(std::vector<std::string>{});
}

std::uint16_t PdBackend::init_port() const {
  return impl_->init_port_;
}
std::uint16_t PdBackend::query_port() const {
  return impl_->query_port_;
}
std::uint16_t PdBackend::alloc_port() const {
  return impl_->alloc_port_;
}

}  // namespace baton
