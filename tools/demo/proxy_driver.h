// The proxy's logic: which request goes where, and when a decoder may start on it.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/base/scheduler.h"
#include "src/proxy/release_gate.h"
#include "src/proxy/router.h"
#include "tools/demo/messages.h"

namespace baton::demo {

/// Keeps a window of requests open: dispatches each to a prefiller, and to its decoder once the
/// gate has released it and its first token is known. A failed request is reported, with its second
/// turn; the others go on. All on the loop.
class ProxyDriver {
 public:
  /// How the driver is heard.
  struct Outlets {
    absl::AnyInvocable<void(std::uint32_t prefiller, const Message&)> to_prefiller;
    absl::AnyInvocable<void(std::uint32_t decoder, const Message&)> to_decoder;
    absl::AnyInvocable<void(const RequestResult&)> on_result;
    /// Every request has its result; once.
    Task on_all_done;
  };

  ProxyDriver(Scheduler& scheduler, proxy::ReleaseGate& gate, proxy::Router router,
              const Setup& setup, std::vector<PlannedRequest> requests, Outlets outlets);

  /// Decoder i listens at `decoders[i]`.
  void start(std::vector<WorkerReady> decoders);

  void on_first_token(const FirstToken& first);
  void on_puts_ended(const PutsEnded& ended);
  void on_decode_done(DecodeDone done);

  std::uint32_t peak_open() const { return peak_open_; }

 private:
  struct Request {
    PlannedRequest plan;
    std::vector<Token> prompt;
    std::optional<std::uint32_t> next_turn;
    proxy::Router::Assignment at;
    TimePoint dispatched{};
    bool open = false;
    bool released = false;
    bool decoding = false;
    std::optional<Step> first;
    std::optional<PutsEnded> puts;
    std::optional<DecodeDone> decoded;
    RequestResult result;
  };

  Request* find_open(std::uint32_t index);
  void pump();
  Status dispatch(Request& request);
  std::string prefix_of(const std::vector<Token>& prompt) const;
  void on_released(std::uint32_t index, const Status& status);
  void decode_if_ready(Request& request);
  void finish_if_ready(Request& request);
  void finish(Request& request);

  Scheduler& scheduler_;
  proxy::ReleaseGate& gate_;
  proxy::Router router_;
  const Setup setup_;
  Outlets outlets_;
  const std::uint32_t window_;
  std::vector<WorkerReady> decoders_;
  std::vector<Request> requests_;
  std::deque<std::uint32_t> queue_;  // may be dispatched
  std::uint32_t open_ = 0;
  std::uint32_t peak_open_ = 0;
  std::uint32_t unfinished_ = 0;
};

}  // namespace baton::demo
