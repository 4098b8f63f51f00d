// PdBackend's calls for the receiver's role.
#include <fmt/format.h>

#include <future>
#include <utility>

#include "src/backend/pd_backend_impl.h"
#include "src/backend/settings.h"

namespace baton {

void PdBackend::claim_async(const std::string& req_id, std::span<const CacheEngineKey> keys,
                            std::optional<std::chrono::milliseconds> timeout, Claimed claimed) {
  Impl& impl = *impl_;
  const Status fine = impl.check_role(Role::kReceiver);
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
    impl.stack_->receiver().claim(
        req_id, *std::move(texts), impl.stack_->loop().now() + wait,
        [shared](StatusOr<Claim> result) { (*shared)(std::move(result)); });
  });
  if (!posted) {
    (*shared)(Impl::closed_error());  // No thread is left to call it from.
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
               return stack.receiver().pin(text, stack.loop().now() + lease);
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
        impl.stack_->receiver().get(
            text, impl.stack_->loop().now() + wait,
            [promise](StatusOr<MemoryObj> got) { promise->set_value(std::move(got)); });
      })) {
    return Impl::closed_error();
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

}  // namespace baton
