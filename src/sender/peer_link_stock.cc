// A link to an LMCache receiver: PeerLink's half that speaks LMCache's messages alone.
#include <fmt/format.h>

#include <utility>
#include <variant>

#include "src/base/log.h"
#include "src/sender/peer_link.h"
#include "src/wire/codec.h"

namespace baton::sender {

Status PeerLink::begin_stock() {
  is_stock_ = false;
  stock_.reset();
  if (plane_ == nullptr) {
    return absl::OkStatus();
  }
  stock_ = std::make_unique<StockLink>(
      scheduler_, *plane_, config_, attempt_->guard([this](const Status& why) {
        reset(Status(why.code(), fmt::format("LMCache receiver {}: {}", address_.init_endpoint,
                                             std::string(why.message()))));
      }));
  return stock_->open();
}

void PeerLink::on_stock_message(const wire::Message& message) {
  const auto broken = [this](const Status& why) {
    finish(Status(why.code(), fmt::format("LMCache receiver {} failed the handshake: {}",
                                          address_.init_endpoint, std::string(why.message()))));
  };
  if (const auto* response = std::get_if<wire::NixlInitResponse>(&message)) {
    if (stock_->introduced()) {
      return;  // The hello was said twice.
    }
    scheduler_.cancel(std::exchange(retry_timer_, kNoTimer));
    auto pages =
        stock_->introduce(*response, fmt::format("baton-{}-{}", config_.epoch.hex(), connections_));
    Status sent = pages.ok() ? init_->send(wire::encode(*std::move(pages))) : pages.status();
    if (!sent.ok()) {
      broken(sent);
    }
    return;
  }
  const auto* response = std::get_if<wire::NixlMemRegResponse>(&message);
  if (response == nullptr || !stock_->introduced()) {
    broken(absl::DataLossError(fmt::format("it answered with a {}", wire::type_name(message))));
    return;
  }
  auto welcome = stock_->take_pages(*response, *alloc_);
  if (!welcome.ok()) {
    broken(welcome.status());
    return;
  }
  welcome_ = *std::move(welcome);
  is_stock_ = true;
  log::info("LMCache receiver {} is ready over nixl: {} pages", address_.init_endpoint,
            welcome_.page_count);
  finish(absl::OkStatus());
}

void PeerLink::on_stock_answer(const wire::Message& message) {
  if (const auto* response = std::get_if<wire::AllocResponse>(&message)) {
    stock_->on_answer(*response);
    return;
  }
  reset(absl::DataLossError(fmt::format("LMCache receiver {} sent a {}, which answers nothing",
                                        address_.alloc_endpoint, wire::type_name(message))));
}

Status PeerLink::ask_stock(const wire::AllocRequest& request, TimePoint deadline,
                           StockLink::Answer answer) {
  if (state_ != State::kReady || !is_stock_) {
    return absl::UnavailableError(
        fmt::format("receiver {} is not connected", address_.init_endpoint));
  }
  stock_->ask(request, deadline, std::move(answer));
  return absl::OkStatus();
}

void PeerLink::end_stock_request(const std::string& req_id, const Status& how) {
  if (state_ != State::kReady || !is_stock_) {
    return;
  }
  if (how.ok()) {
    stock_->forget(req_id);
  } else {
    stock_->cancel(req_id);
  }
}

bool PeerLink::digests_writes() const {
  return !is_stock_ && transport_->digests_writes();
}

void PeerLink::write_batch(std::vector<transport::WriteOp> ops, transport::Done done) {
  if (is_stock_ && stock_ != nullptr) {
    stock_->write_batch(std::move(ops), std::move(done));
  } else {
    transport_->write_batch(welcome_.epoch, std::move(ops), std::move(done));
  }
}

void PeerLink::read_batch(std::vector<transport::ReadOp> ops, transport::Done done) {
  if (is_stock_ && stock_ != nullptr) {
    stock_->read_batch(std::move(ops), std::move(done));
  } else {
    transport_->read_batch(welcome_.epoch, std::move(ops), std::move(done));
  }
}

StatusOr<std::unique_ptr<StockQuery>> PeerLink::connect_query(const std::string& endpoint,
                                                              StockQuery::Answer answer) {
  return StockQuery::connect(network_, endpoint,
                             fmt::format("baton-{}-{}-query", config_.epoch.hex(), ++connections_),
                             config_.limits, std::move(answer));
}

}  // namespace baton::sender
