#include "baton/pd_backend.h"

#include <fmt/format.h>

#include <atomic>
#include <future>
#include <type_traits>
#include <utility>

#include "src/backend/settings.h"
#include "src/backend/stack.h"
#include "src/base/thread_annotations.h"
#include "src/sender/opened_request.h"

namespace baton {
namespace {

Status closed() {
  return absl::FailedPreconditionError(std::string("the backend is closed"));
}

std::string_view to_string(Role role) {
  return role == Role::kSender ? "sender" : "receiver";
}

std::uint16_t port_of(const std::string& endpoint) {
  return static_cast<std::uint16_t>(std::stoul(endpoint.substr(endpoint.rfind(':') + 1)));
}

}  // namespace

class PdBackend::Impl {
 public:
  Impl(Options options, CacheLayout layout, std::unique_ptr<Stack> stack)
      : options_(std::move(options)),
        layout_(std::move(layout)),
        stack_(std::move(stack)),
        transports_(stack_->transport_names()) {
    if (options_.pd_role == Role::kReceiver) {
      stack_->loop().run_sync([this] {
        init_port_ = port_of(stack_->receiver().init_endpoint());
        alloc_port_ = port_of(stack_->receiver().alloc_endpoint());
      });
    }
  }

  Status check_role(Role needed) const {
    if (options_.pd_role == needed) {
      return absl::OkStatus();
    }
    return absl::FailedPreconditionError(fmt::format("this needs pd_role {}, the backend is a {}",
                                                     to_string(needed),
                                                     to_string(options_.pd_role)));
  }

  Status check_open(Role needed) {
    {
      const MutexLock lock(mutex_);
      if (closed_) {
        return closed();
      }
    }
    return check_role(needed);
  }

  /// Runs on the loop, before close() begins; false once it has begun (the task is dropped).
  bool post(Task task) {
    const MutexLock lock(mutex_);
    if (closed_) {
      return false;
    }
    stack_->loop().post(std::move(task));
    return true;
  }

  /// Runs `work` on the loop and waits for its result.
  template <typename Work, typename Result = std::invoke_result_t<Work, Stack&>>
  StatusOr<Result> call(Work work) {
    std::promise<Result> promise;
    auto result = promise.get_future();
    if (Status fine = check_may_wait(); !fine.ok()) {
      return fine;
    }
    if (!post([&] { promise.set_value(work(*stack_)); })) {
      return closed();
    }
    return result.get();
  }

  Status check_may_wait() {
    const MutexLock lock(mutex_);
    if (closed_) {
      return closed();
    }
    if (stack_->loop().on_loop()) {
      return absl::FailedPreconditionError(
          std::string("a call that waits was made inside one of Baton's callbacks; it would wait "
                      "for itself"));
    }
    return absl::OkStatus();
  }

  void close() {
    {
      const MutexLock lock(mutex_);
      if (std::exchange(closed_, true)) {
        return;
      }
    }
    stack_->close();
  }

  /// A place among pd_max_puts, or nothing.
  std::shared_ptr<void> take_put_slot() {
    if (puts_->fetch_add(1) >= options_.pd_max_puts) {
      puts_->fetch_sub(1);
      return nullptr;
    }
    return {this, [puts = puts_](void*) { puts->fetch_sub(1); }};
  }

  const Options options_;
  const CacheLayout layout_;
  const std::unique_ptr<Stack> stack_;
  const std::vector<std::string> transports_;
  std::uint16_t init_port_ = 0;
  std::uint16_t alloc_port_ = 0;

 private:
  const std::shared_ptr<std::atomic<std::uint32_t>> puts_ =
      std::make_shared<std::atomic<std::uint32_t>>(0);
  Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

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
  Status fine = impl.check_role(Role::kSender);
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
    (*shared)(closed());  // No thread is left to call it from.
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
    return closed();
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

// ---- receiver ----------------------------------------------------------------------------------

void PdBackend::claim_async(const std::string& req_id, std::span<const CacheEngineKey> keys,
                            std::optional<std::chrono::milliseconds> timeout, Claimed claimed) {
  Impl& impl = *impl_;
  Status fine = impl.check_role(Role::kReceiver);
  StatusOr<std::vector<std::string>> texts =
      fine.ok() ? to_strings(keys, impl.layout_) : StatusOr<std::vector<std::string>>(fine);
  if (texts.ok() && (texts->empty() || req_id.empty())) {
    texts = absl::InvalidArgumentError(
        fmt::format("a claim names a request and at least one key; request '{}' has {}", req_id,
                    texts->size()));
  }
  auto shared = std::make_shared<Claimed>(std::move(claimed));
  const auto wait = timeout.value_or(impl.options_.pd_claim_timeout_ms);
  const bool posted = impl.post([&impl, req_id, texts, wait, shared]() mutable {
    if (!texts.ok()) {
      (*shared)(texts.status());
      return;
    }
    impl.stack_->receiver().claims().claim(
        req_id, *std::move(texts), impl.stack_->loop().now() + wait,
        [shared](StatusOr<Claim> result) { (*shared)(std::move(result)); });
  });
  if (!posted) {
    (*shared)(closed());  // No thread is left to call it from.
  }
}

StatusOr<Claim> PdBackend::claim(const std::string& req_id, std::span<const CacheEngineKey> keys,
                                 std::optional<std::chrono::milliseconds> timeout) {
  if (Status fine = impl_->check_may_wait(); !fine.ok()) {
    return fine;
  }
  std::promise<StatusOr<Claim>> promise;
  auto result = promise.get_future();
  claim_async(req_id, keys, timeout,
              [&promise](StatusOr<Claim> claim) { promise.set_value(std::move(claim)); });
  return result.get();
}

bool PdBackend::contains(const CacheEngineKey& key) {
  return impl_->check_role(Role::kReceiver).ok() &&
         impl_
             ->call(
                 [text = key.to_string()](Stack& stack) { return stack.receiver().contains(text); })
             .value_or(false);
}

bool PdBackend::pin(const CacheEngineKey& key, std::chrono::milliseconds lease) {
  return impl_->check_role(Role::kReceiver).ok() &&
         impl_
             ->call([text = key.to_string(), lease](Stack& stack) {
               return stack.receiver().claims().pin(text, stack.loop().now() + lease);
             })
             .value_or(false);
}

bool PdBackend::unpin(const CacheEngineKey& key) {
  return impl_->check_role(Role::kReceiver).ok() &&
         impl_
             ->call([text = key.to_string()](Stack& stack) {
               return stack.receiver().claims().unpin(text);
             })
             .value_or(false);
}

StatusOr<MemoryObj> PdBackend::get_blocking(const CacheEngineKey& key,
                                            std::optional<std::chrono::milliseconds> timeout) {
  Status fine = impl_->check_role(Role::kReceiver);
  if (fine.ok()) {
    fine = impl_->check_may_wait();
  }
  if (!fine.ok()) {
    return fine;
  }
  auto promise = std::make_shared<std::promise<StatusOr<MemoryObj>>>();
  auto result = promise->get_future();
  const auto wait = timeout.value_or(impl_->options_.pd_claim_timeout_ms);
  if (!impl_->post([&impl = *impl_, text = key.to_string(), wait, promise] {
        impl.stack_->receiver().claims().get(
            text, impl.stack_->loop().now() + wait,
            [promise](StatusOr<MemoryObj> got) { promise->set_value(std::move(got)); });
      })) {
    return closed();
  }
  return result.get();
}

Status PdBackend::remove(const CacheEngineKey& key) {
  if (Status fine = impl_->check_role(Role::kReceiver); !fine.ok()) {
    return fine;
  }
  const auto removed =
      impl_->call([text = key.to_string()](Stack& stack) { return stack.receiver().remove(text); });
  return removed.ok() ? *removed : removed.status();
}

std::uint64_t PdBackend::evict_all_retained() {
  return impl_->check_role(Role::kReceiver).ok()
             ? impl_
                   ->call([](Stack& stack) {
                     return std::uint64_t{stack.receiver().evict_all_retained()};
                   })
                   .value_or(0)
             : 0;
}

std::uint16_t PdBackend::init_port() const {
  return impl_->init_port_;
}
std::uint16_t PdBackend::alloc_port() const {
  return impl_->alloc_port_;
}

}  // namespace baton
