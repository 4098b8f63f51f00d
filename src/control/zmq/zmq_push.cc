#include "src/control/zmq/zmq_push.h"

#include <fmt/format.h>

#include <utility>

#include "src/base/log.h"
#include "src/control/endpoint.h"
#include "src/control/zmq/message_pump.h"

namespace baton::control {

using zmq_detail::ConnectionEvent;
using zmq_detail::ConnectionWatch;
using zmq_detail::MessagePump;
using zmq_detail::SocketKind;

/// Held by shared_ptr: a callback may let go of the ZmqPush while it runs.
///
/// States: waiting (no socket; the timer will start an attempt) → connecting (socket; the timer
/// will end the attempt) → connected (socket, no timer) → waiting.
class ZmqPush::Link : public std::enable_shared_from_this<Link> {
 public:
  Link(ZmqEnvironment& environment, std::string endpoint)
      : environment_(environment), endpoint_(std::move(endpoint)) {}

  Status start_attempt();
  void close();

  Status send(std::string_view payload);
  std::uint64_t incarnation() const { return incarnation_; }
  void set_writable(Writable writable);

 private:
  void on_connection_event(ConnectionEvent event);
  void end_attempt();
  void drop_socket();
  void set_timer(std::chrono::milliseconds delay, void (Link::*then)());
  void retry();
  void tell_writable();

  ZmqEnvironment& environment_;
  const std::string endpoint_;
  std::shared_ptr<MessagePump> push_;
  std::unique_ptr<ConnectionWatch> watch_;
  std::string trouble_;
  bool connected_ = false;
  std::uint64_t incarnation_ = 0;
  TimerId timer_ = kNoTimer;
  Writable writable_;
};

Status ZmqPush::Link::start_attempt() {
  auto push = environment_.open_client(SocketKind::kPush, security::KeyRole::kProxy, endpoint_);
  if (!push.ok()) {
    return push.status();
  }
  const auto weak = weak_from_this();
  auto watch = ConnectionWatch::start(environment_.context, environment_.reactor, *push,
                                      [weak](ConnectionEvent event) {
                                        if (const auto self = weak.lock()) {
                                          self->on_connection_event(event);
                                        }
                                      });
  if (!watch.ok()) {
    return watch.status();
  }
  if (Status connecting = push->connect(endpoint_); !connecting.ok()) {
    push->stop_monitor();
    return connecting;
  }
  push_ = MessagePump::start(environment_.reactor, *std::move(push), {.on_writable = [weak] {
                               if (const auto self = weak.lock()) {
                                 self->tell_writable();
                               }
                             }});
  watch_ = *std::move(watch);
  set_timer(environment_.options.connect_timeout_ms, &Link::end_attempt);
  return absl::OkStatus();
}

void ZmqPush::Link::on_connection_event(ConnectionEvent event) {
  if (event == ConnectionEvent::kOther || push_ == nullptr) {
    return;
  }
  if (event == ConnectionEvent::kReady) {
    connected_ = true;
    trouble_.clear();
    environment_.reactor.cancel(std::exchange(timer_, kNoTimer));
    tell_writable();
    return;
  }
  if (std::string why =
          zmq_detail::trouble_text(event, environment_.has_keys(security::KeyRole::kProxy));
      !why.empty()) {
    log::limited_warning("the proxy at {}: {}", endpoint_, why);
    trouble_ = std::move(why);
  }
  end_attempt();
}

void ZmqPush::Link::end_attempt() {
  if (std::exchange(connected_, false)) {
    ++incarnation_;
    log::info("the connection to the proxy at {} was lost", endpoint_);
  }
  push_->socket().drop_unsent();
  drop_socket();
  set_timer(environment_.options.reconnect_ms, &Link::retry);
}

void ZmqPush::Link::retry() {
  if (const Status started = start_attempt(); !started.ok()) {
    log::warning("{}", std::string(started.message()));
    set_timer(environment_.options.connect_timeout_ms, &Link::retry);
  }
}

void ZmqPush::Link::set_timer(std::chrono::milliseconds delay, void (Link::*then)()) {
  environment_.reactor.cancel(timer_);
  timer_ = environment_.reactor.run_after(delay, [weak = weak_from_this(), then] {
    if (const auto self = weak.lock()) {
      self->timer_ = kNoTimer;
      (self.get()->*then)();
    }
  });
}

void ZmqPush::Link::drop_socket() {
  if (push_ != nullptr) {
    push_->socket().stop_monitor();
    push_->stop();
    push_.reset();
    watch_.reset();
  }
}

void ZmqPush::Link::close() {
  drop_socket();
  environment_.reactor.cancel(std::exchange(timer_, kNoTimer));
  connected_ = false;
}

Status ZmqPush::Link::send(std::string_view payload) {
  const ZmqOptions& options = environment_.options;
  if (Status valid = check_payload(payload.size(), options.max_message_bytes); !valid.ok()) {
    return valid;
  }
  if (!connected_) {
    return absl::UnavailableError(fmt::format("no connection to the proxy at {}{}{}", endpoint_,
                                              trouble_.empty() ? "" : ": ", trouble_));
  }
  if (push_->send({payload}) != 0) {
    return absl::UnavailableError(fmt::format(
        "the proxy at {} is gone, or its queue is full ({} messages)", endpoint_, options.hwm));
  }
  return absl::OkStatus();
}

void ZmqPush::Link::set_writable(Writable writable) {
  writable_ = std::move(writable);
  if (connected_) {
    environment_.reactor.post([weak = weak_from_this()] {
      if (const auto self = weak.lock()) {
        self->tell_writable();
      }
    });
  }
}

// The callback may destroy the ZmqPush, or replace itself.
void ZmqPush::Link::tell_writable() {
  if (!connected_ || !writable_) {
    return;
  }
  Writable writable = std::exchange(writable_, nullptr);
  writable();
  if (!writable_) {
    writable_ = std::move(writable);
  }
}

StatusOr<std::unique_ptr<Push>> ZmqPush::connect(ZmqEnvironment& environment,
                                                 const std::string& endpoint) {
  auto link = std::make_shared<Link>(environment, endpoint);
  if (Status started = link->start_attempt(); !started.ok()) {
    return started;
  }
  return std::unique_ptr<Push>(new ZmqPush(std::move(link)));
}

ZmqPush::ZmqPush(std::shared_ptr<Link> link) : link_(std::move(link)) {}
ZmqPush::~ZmqPush() {
  link_->close();
}
Status ZmqPush::send(std::string_view payload) {
  return link_->send(payload);
}
std::uint64_t ZmqPush::incarnation() const {
  return link_->incarnation();
}
void ZmqPush::set_writable(Writable writable) {
  link_->set_writable(std::move(writable));
}

}  // namespace baton::control
