// PdBackend's calls for the receiver's role.
#include <fmt/format.h>

#include <future>
#include <utility>

#include "src/backend/pd_backend_impl.h"
#include "src/backend/settings.h"

namespace baton {

void PdBackend::claim_async(const std::string& req_id, std::span<const CacheEngineKey> keys,
                            std::optional<std::chrono::milliseconds> timeout, Claimed claimed) {
  auto use = impl_->use(Half::kAny);
  if (!use.ok()) {
    claimed(use.status());  // No thread is there to call it from.
    return;
  }
  const Status fine = use->check(Half::kReceiver);
  StatusOr<std::vector<std::string>> texts =
      fine.ok() ? to_strings(keys, impl_->layout_) : StatusOr<std::vector<std::string>>(fine);
  if (texts.ok() && (texts->empty() || req_id.empty())) {
    texts = absl::InvalidArgumentError(
        fmt::format("a claim names a request and at least one key; request '{}' has {}", req_id,
                    texts->size()));
  }
  const auto wait = timeout.value_or(use->options().pd_claim_timeout_ms);
  use->post(
      [req_id, texts = std::move(texts), wait, claimed = std::move(claimed)](Stack& stack) mutable {
        if (!texts.ok()) {
          claimed(texts.status());
          return;
        }
        stack.receiver().claim(req_id, *std::move(texts), stack.loop().now() + wait,
                               std::move(claimed));
      });
}

StatusOr<Claim> PdBackend::claim(const std::string& req_id, std::span<const CacheEngineKey> keys,
                                 std::optional<std::chrono::milliseconds> timeout) {
  if (auto use = impl_->use(Half::kAny); !use.ok() || !use->check_may_wait().ok()) {
    return use.ok() ? use->check_may_wait() : use.status();
  }
  std::promise<StatusOr<Claim>> promise;
  auto result = promise.get_future();
  claim_async(req_id, keys, timeout,
              [&promise](StatusOr<Claim> claim) { promise.set_value(std::move(claim)); });
  return result.get();
}

bool PdBackend::contains(const CacheEngineKey& key) {
  return impl_
      ->call(Half::kReceiver,
             [text = key.to_string()](Stack& stack) { return stack.receiver().contains(text); })
      .value_or(false);
}

bool PdBackend::pin(const CacheEngineKey& key, std::chrono::milliseconds lease) {
  return impl_
      ->call(Half::kReceiver,
             [text = key.to_string(), lease](Stack& stack) {
               return stack.receiver().pin(text, stack.loop().now() + lease);
             })
      .value_or(false);
}

bool PdBackend::unpin(const CacheEngineKey& key) {
  return impl_
      ->call(Half::kReceiver, [text = key.to_string()](
                                  Stack& stack) { return stack.receiver().claims().unpin(text); })
      .value_or(false);
}

StatusOr<MemoryObj> PdBackend::get_blocking(const CacheEngineKey& key,
                                            std::optional<std::chrono::milliseconds> timeout) {
  std::promise<StatusOr<MemoryObj>> promise;
  auto result = promise.get_future();
  {
    auto use = impl_->use(Half::kReceiver);
    if (!use.ok()) {
      return use.status();
    }
    if (Status fine = use->check_may_wait(); !fine.ok()) {
      return fine;
    }
    const auto wait = timeout.value_or(use->options().pd_claim_timeout_ms);
    use->post([text = key.to_string(), wait, &promise](Stack& stack) {
      stack.receiver().get(text, stack.loop().now() + wait, [&promise](StatusOr<MemoryObj> got) {
        promise.set_value(std::move(got));
      });
    });
  }
  return result.get();
}

Status PdBackend::remove(const CacheEngineKey& key) {
  const auto removed = impl_->call(Half::kReceiver, [text = key.to_string()](Stack& stack) {
    return stack.receiver().remove(text);
  });
  return removed.ok() ? *removed : removed.status();
}

std::uint64_t PdBackend::evict_all_retained() {
  return impl_
      ->call(Half::kReceiver,
             [](Stack& stack) { return std::uint64_t{stack.receiver().evict_all_retained()}; })
      .value_or(0);
}

}  // namespace baton
