// What an LMCache receiver has: the questions that a read asks on its query port. docs/interop.md.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "baton/status.h"
#include "src/control/control.h"
#include "src/wire/limits.h"
#include "src/wire/messages.h"

namespace baton::sender {

/// One read's way to ask, one question at a time. It is never shared: answers name nothing, and
/// what comes after a read has given up must be no other read's answer. All methods on the loop.
class StockQuery {
 public:
  /// Once per question; an error is the last call. Not inside ask().
  using Answer = absl::AnyInvocable<void(const StatusOr<wire::CacheQueryResponse>& response)>;
  /// `limits` outlive it.
  static StatusOr<std::unique_ptr<StockQuery>> connect(control::Network& network,
                                                       std::string endpoint,
                                                       const std::string& identity,
                                                       const wire::Limits& limits, Answer answer);
  StockQuery(const StockQuery&) = delete;
  StockQuery& operator=(const StockQuery&) = delete;

  /// The former one must be answered. Never said twice.
  Status ask(std::vector<std::string> keys);
  /// For the message of who waits in vain; empty if nothing is asked.
  std::string trouble() const;

 private:
  StockQuery(std::string endpoint, const wire::Limits& limits, Answer answer);
  void on_payload(std::string_view payload);
  void fail(const std::string& what);

  const std::string endpoint_;
  const wire::Limits& limits_;
  Answer answer_;
  bool asked_ = false;
  bool failed_ = false;
  std::unique_ptr<control::Client> client_;
};

/// In which page each of `keys` is; nullopt where the receiver has none. kDataLoss unless each key
/// of the answer was asked for and stands there once, in a page of its own below `page_count`.
StatusOr<std::vector<std::optional<std::uint32_t>>> cached_pages(
    const wire::CacheQueryResponse& response, const std::vector<std::string>& keys,
    std::uint32_t page_count);

}  // namespace baton::sender
