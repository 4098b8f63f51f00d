#include "src/sender/peer_link.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <variant>

#include "src/base/log.h"
#include "src/base/protocol_version.h"
#include "src/wire/codec.h"
#include "src/wire/reuse.h"

namespace baton::sender {
namespace {

/// Between two hellos to a receiver that says "try again".
constexpr Duration kRetryDelay = std::chrono::milliseconds(50);
/// Between two to one that says nothing: the connection may have lost the first.
constexpr Duration kRepeatDelay = std::chrono::seconds(1);

}  // namespace

PeerLink::PeerLink(Scheduler& scheduler, control::Network& network,
                   std::span<transport::Transport* const> transports, const Config& config,
                   Address address, std::uint32_t& connections, Callbacks callbacks,
                   transport::StockPlane* plane)
    : scheduler_(scheduler),
      network_(network),
      transports_(transports.begin(), transports.end()),
      config_(config),
      address_(std::move(address)),
      callbacks_(std::move(callbacks)),
      connections_(connections),
      ahead_resend_(scheduler),
      plane_(plane),
      attempt_(std::make_unique<Lifetime>()) {}

PeerLink::~PeerLink() {
  stop_ahead();
  scheduler_.cancel(timer_);
  scheduler_.cancel(retry_timer_);
  scheduler_.cancel(owed_timer_);
  scheduler_.cancel(beat_timer_);
}

void PeerLink::ensure(Ready ready) {
  if (state_ == State::kReady) {
    ready(absl::OkStatus());
    return;
  }
  waiting_.push_back(std::move(ready));
  if (state_ == State::kIdle) {
    start_handshake();
  }
}

void PeerLink::start_handshake() {
  state_ = State::kHandshaking;
  attempt_ = std::make_unique<Lifetime>();
  deadline_ = scheduler_.now() + config_.handshake_timeout;
  timer_ = scheduler_.run_at(deadline_, attempt_->guard([this] {
    timer_ = kNoTimer;
    std::string why;
    for (const control::Client* client : {init_.get(), alloc_.get()}) {
      if (client != nullptr && why.empty()) {
        why = client->trouble();
      }
    }
    finish(absl::DeadlineExceededError(fmt::format(
        "receiver {} did not finish the handshake within {} ms (pd_handshake_timeout_ms): {}",
        address_.init_endpoint,
        std::chrono::duration_cast<std::chrono::milliseconds>(config_.handshake_timeout).count(),
        why.empty() ? "is it there, and is the port its init port?" : why)));
  }));
  const std::string identity = fmt::format("baton-{}-{}", config_.epoch.hex(), ++connections_);
  auto init = network_.connect_client(
      address_.init_endpoint, identity + "-init",
      attempt_->guard([this](std::string_view payload) { on_init_payload(payload); }));
  auto alloc = network_.connect_client(
      address_.alloc_endpoint, identity + "-alloc",
      attempt_->guard([this](std::string_view payload) { on_alloc_payload(payload); }));
  if (!init.ok() || !alloc.ok()) {
    // Not inside ensure(): the caller may not expect its callback to fail at once.
    scheduler_.post(
        attempt_->guard([this, why = init.ok() ? alloc.status() : init.status()] { finish(why); }));
    return;
  }
  init_ = *std::move(init);
  alloc_ = *std::move(alloc);
  if (Status begun = begin_stock(); !begun.ok()) {
    scheduler_.post(attempt_->guard([this, begun] { finish(begun); }));
    return;
  }
  send_hello();
}

void PeerLink::send_hello() {
  wire::Hello hello;
  hello.version_min = config_.versions.min;
  hello.version_max = config_.versions.max;
  hello.epoch = config_.epoch;
  hello.layout = config_.layout;
  for (const transport::Transport* transport : transports_) {
    hello.transports.push_back({std::string(transport->name()), transport->offer()});
  }
  wire::NixlInitRequest request;
  if (stock_ != nullptr) {
    request.local_meta_bytes = stock_->metadata();
  }
  request.baton = wire::encode(hello);
  if (Status sent = init_->send(wire::encode(request)); !sent.ok()) {
    scheduler_.post(attempt_->guard([this, sent] { finish(sent); }));
    return;
  }
  send_hello_after(kRepeatDelay);  // A receiver that has answered it ignores it, or answers again.
}

void PeerLink::send_hello_after(Duration delay) {
  scheduler_.cancel(retry_timer_);
  retry_timer_ = scheduler_.run_after(delay, attempt_->guard([this] {
    retry_timer_ = kNoTimer;
    if (state_ == State::kHandshaking) {
      send_hello();
    }
  }));
}

void PeerLink::on_init_payload(std::string_view payload) {
  if (state_ != State::kHandshaking) {
    return;
  }
  const auto nonsense = [this](const std::string& what) {
    finish(absl::DataLossError(fmt::format("receiver {} answered the handshake with nonsense: {}",
                                           address_.init_endpoint, what)));
  };
  const auto outer = wire::decode(payload, config_.limits);
  if (!outer.ok()) {
    nonsense(std::string(outer.status().message()));
    return;
  }
  const auto* response = std::get_if<wire::NixlInitResponse>(&*outer);
  if (stock_ != nullptr && (response == nullptr || !response->baton.has_value())) {
    on_stock_message(*outer);
    return;
  }
  if (response == nullptr) {
    nonsense(std::string(wire::type_name(*outer)));
    return;
  }
  if (!response->baton.has_value()) {
    finish(absl::FailedPreconditionError(
        fmt::format("receiver {} is not a Baton receiver (a stock LMCache one? they are "
                    "refused unless pd_stock_peers is allow)",
                    address_.init_endpoint)));
    return;
  }
  auto inner = wire::decode(*response->baton, config_.limits);
  if (!inner.ok()) {
    nonsense(std::string(inner.status().message()));
  } else if (auto* welcome = std::get_if<wire::Welcome>(&*inner)) {
    on_welcome(std::move(*welcome));
  } else if (const auto* refusal = std::get_if<wire::Refusal>(&*inner)) {
    on_refusal(*refusal);
  } else {
    nonsense(std::string(wire::type_name(*inner)));
  }
}

void PeerLink::on_refusal(const wire::Refusal& refusal) {
  const auto code = static_cast<StatusCode>(refusal.code);
  if (code == StatusCode::kUnavailable) {
    // The receiver still fences this sender's former connection; the deadline bounds the retries.
    send_hello_after(kRetryDelay);
    return;
  }
  finish(Status(code, fmt::format("receiver {} refused the handshake: {}", address_.init_endpoint,
                                  refusal.message)));
}

Status PeerLink::check_welcome(const wire::Welcome& welcome) {
  if (!config_.versions.contains(welcome.version)) {
    return absl::FailedPreconditionError(
        fmt::format("it chose protocol version {}, this sender speaks {} to {}", welcome.version,
                    config_.versions.min, config_.versions.max));
  }
  const TensorMeta chunk{config_.layout.shape, config_.layout.dtype, config_.layout.fmt};
  const auto bytes = chunk.bytes();
  if (!bytes.ok() || *bytes > welcome.page_bytes) {
    return absl::FailedPreconditionError(fmt::format("its pages have {} bytes, a chunk has {}",
                                                     welcome.page_bytes, bytes.value_or(0)));
  }
  const auto chosen =
      std::find_if(transports_.begin(), transports_.end(),
                   [&](const transport::Transport* t) { return t->name() == welcome.transport; });
  if (chosen == transports_.end()) {
    return absl::FailedPreconditionError(
        fmt::format("it chose transport '{}', which was not offered", welcome.transport));
  }
  transport_ = *chosen;
  return callbacks_.check_receiver(*this, welcome.epoch);
}

void PeerLink::on_welcome(wire::Welcome welcome) {
  if (Status fine = check_welcome(welcome); !fine.ok()) {
    finish(Status(fine.code(), fmt::format("receiver {}: {}", address_.init_endpoint,
                                           std::string(fine.message()))));
    return;
  }
  welcome_ = std::move(welcome);
  state_ = State::kConnecting;
  transport_->connect(welcome_.epoch, welcome_.ticket, deadline_,
                      attempt_->guard([this](const Status& status) { on_connected(status); }));
}

void PeerLink::on_connected(const Status& status) {
  if (!status.ok()) {
    finish(
        Status(status.code(), fmt::format("no {} connection to receiver {}: {}", welcome_.transport,
                                          address_.init_endpoint, std::string(status.message()))));
    return;
  }
  log::info("receiver {} ({}) is ready over {}", address_.init_endpoint, welcome_.epoch.brief(),
            welcome_.transport);
  finish(absl::OkStatus());
}

void PeerLink::on_alloc_payload(std::string_view payload) {
  const auto message = wire::decode(payload, config_.limits);
  heard_ = scheduler_.now();
  if (message.ok() && is_stock_) {
    on_stock_answer(*message);
    return;
  }
  if (message.ok()) {
    callbacks_.on_message(*this, *message);
    return;
  }
  log::limited_warning("receiver {} sent nonsense: {}", address_.alloc_endpoint,
                       std::string(message.status().message()));
  reset(absl::DataLossError(fmt::format("receiver {} sent nonsense: {}", address_.alloc_endpoint,
                                        std::string(message.status().message()))));
}

Status PeerLink::send(const wire::Message& message) {
  if (is_stock_) {
    return absl::FailedPreconditionError(
        fmt::format("an LMCache receiver understands no {}", wire::type_name(message)));
  }
  if (state_ != State::kReady) {
    return absl::UnavailableError(
        fmt::format("receiver {} is not connected", address_.init_endpoint));
  }
  const wire::Encoded encoded(message);
  const std::string_view bytes = encoded.bytes();
  if (bytes.size() > welcome_.max_message_bytes) {
    return absl::InvalidArgumentError(fmt::format(
        "a {} of {} bytes is longer than receiver {} takes ({}); put fewer keys at a time",
        wire::type_name(message), bytes.size(), address_.init_endpoint,
        welcome_.max_message_bytes));
  }
  return uses_lane_ ? transport_->tell_receiver(welcome_.epoch, bytes) : alloc_->send(bytes);
}

void PeerLink::on_lane_message(std::string_view payload) {
  if (state_ == State::kReady && uses_lane_) {
    on_alloc_payload(payload);
  }
}

void PeerLink::send_or_reset(const wire::Message& message) {
  if (state_ != State::kReady || is_stock_) {
    return;  // The receiver sees the lost connection.
  }
  if (Status sent = send(message); !sent.ok()) {
    reset(absl::UnavailableError(fmt::format("receiver {} could not be told: {}",
                                             address_.init_endpoint, std::string(sent.message()))));
  }
}

void PeerLink::finish(const Status& status) {
  scheduler_.cancel(std::exchange(timer_, kNoTimer));
  scheduler_.cancel(std::exchange(retry_timer_, kNoTimer));
  // Taken now: whoever hears that the link is down may ask for the next one at once.
  std::vector<Ready> waiting = std::exchange(waiting_, {});
  init_.reset();
  if (!status.ok() || !is_stock_) {
    stock_.reset();  // Its agent, and with it what is under way.
  }
  if (status.ok()) {
    state_ = State::kReady;
    uses_lane_ = !is_stock_ && has_lanes(welcome_.version) && transport_->carries_messages();
    ++sessions_;
    start_heartbeats();
    start_ahead();
  } else {
    log::warning("{}", std::string(status.message()));
    const State before = std::exchange(state_, State::kIdle);
    stop_ahead();
    owed_.clear();
    scheduler_.cancel(std::exchange(owed_timer_, kNoTimer));
    scheduler_.cancel(std::exchange(beat_timer_, kNoTimer));
    if (!is_stock_ && (before == State::kConnecting || before == State::kReady)) {
      transport_->disconnect(welcome_.epoch);
    }
    alloc_.reset();
    attempt_ = std::make_unique<Lifetime>();
    if (before == State::kReady) {
      callbacks_.on_down(*this, status);
    }
  }
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    if (status.ok() && state_ != State::kReady) {
      // One of them has lost the link again: the others wait for the next one.
      waiting_.insert(waiting_.end(),
                      std::make_move_iterator(waiting.begin() + static_cast<std::ptrdiff_t>(i)),
                      std::make_move_iterator(waiting.end()));
      if (state_ == State::kIdle) {
        start_handshake();
      }
      return;
    }
    waiting[i](status);
  }
}

void PeerLink::reset(const Status& why) {
  if (state_ != State::kIdle) {
    finish(why);
  }
}

}  // namespace baton::sender
