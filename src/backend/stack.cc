#include "src/backend/stack.h"

#include <fmt/format.h>

#include <future>
#include <string_view>
#include <utility>

#include "src/backend/credentials.h"
#include "src/backend/settings.h"
#include "src/backend/transports.h"
#include "src/base/log.h"
#include "src/control/zmq/zmq_network.h"

namespace baton {
namespace {

/// With busy_poll the loop spins this long before it sleeps: longer than a round trip on one host,
/// short enough that an idle process is soon asleep again.
constexpr Duration kBusyPollSpin = std::chrono::microseconds(200);

}  // namespace

StatusOr<std::unique_ptr<Stack>> Stack::create(const Options& options, const CacheLayout& layout,
                                               FaultInjection faults) {
  std::unique_ptr<Stack> stack(new Stack(options));
  auto credentials = load_credentials(options);
  if (!credentials.ok()) {
    return credentials.status();
  }
  stack->credentials_ = *std::move(credentials);
  const auto shape = buffer_shape(layout, options);
  if (!shape.ok()) {
    return shape.status();
  }
  auto buffer = RegisteredBuffer::create(shape->page_bytes, shape->page_count);
  if (!buffer.ok()) {
    return buffer.status();
  }
  stack->buffer_ = *std::move(buffer);
  stack->receiver_pages_ = shape->receiver_pages;
  auto loop = EventLoop::create("baton", options.busy_poll ? kBusyPollSpin : Duration::zero());
  if (!loop.ok()) {
    return loop.status();
  }
  stack->loop_ = *std::move(loop);
  stack->loop_ref_ = std::make_shared<LoopRef>(*stack->loop_);
  stack->loop_->start();
  Status built;
  stack->loop_->run_sync([&] { built = stack->build_on_loop(layout, std::move(faults)); });
  if (!built.ok()) {
    return built;
  }
  return stack;
}

Status Stack::build_on_loop(const CacheLayout& layout, FaultInjection faults) {
  auto made_transports =
      make_transports_on_loop(*loop_, epoch_, options_, layout.worker_id, *buffer_);
  if (!made_transports.ok()) {
    return made_transports.status();
  }
  transports_ = *std::move(made_transports);
  std::vector<transport::Transport*> transports;
  transports.reserve(transports_.size());
  for (const auto& transport : transports_) {
    transports.push_back(transport.get());
  }
  if (faults.stock_plane && options_.pd_stock_peers == StockPeers::kAllow) {
    stock_ = faults.stock_plane(*loop_, *buffer_);
  } else {
    auto stock = make_stock_plane_on_loop(*loop_, epoch_, options_, *buffer_);
    if (!stock.ok()) {
      return stock.status();
    }
    stock_ = *std::move(stock);
  }
  if (stock_ == nullptr && !options_.pd_peer_query_port.empty()) {
    log::info("pd_peer_query_port is not used: LMCache's peers are refused (pd_stock_peers)");
  }
  control::ZmqOptions zmq;
  zmq.max_message_bytes = options_.pd_max_message_bytes;
  zmq.credentials = credentials_;
  network_ = std::make_unique<control::ZmqNetwork>(*loop_, zmq);
  if (receives(options_.pd_role)) {
    auto made = receiver::Receiver::create(
        {*loop_, *network_, transports, buffer_, loop_ref_, epoch_, receiver_pages_, stock_.get()},
        receiver_config(layout, options_), std::move(faults.receiver));
    if (!made.ok()) {
      return made.status();
    }
    receiver_ = *std::move(made);
    log::info("receiver {} listens on {} (init) and {} (alloc)", epoch_.brief(),
              receiver_->init_endpoint(), receiver_->alloc_endpoint());
  }
  if (sends(options_.pd_role)) {
    staging_ = StagingPool::create(buffer_, loop_ref_, receiver_pages_);
    auto made =
        sender::Sender::create({*loop_, *network_, transports, staging_, stock_.get()},
                               sender_config(layout, options_, epoch_), std::move(faults.sender));
    if (!made.ok()) {
      return made.status();
    }
    sender_ = *std::move(made);
  }
  if (options_.pd_role == Role::kBoth) {
    split_ = std::make_unique<RoleSplit>(receiver_->observer(), sender_->observer());
    for (transport::Transport* transport : transports) {
      transport->set_observer(split_.get());
    }
  }
  return absl::OkStatus();
}

// ---- changing roles ----------------------------------------------------------------------------

std::string Stack::under_way_on_loop() {
  std::string found;
  const auto add = [&found](std::uint64_t count, std::string_view what) {
    if (count > 0) {
      found += fmt::format("{}{} {}", found.empty() ? "" : ", ", count, what);
    }
  };
  if (sender_ != nullptr) {
    const auto stats = sender_->stats();
    const auto staging = staging_->counts();
    add(stats.requests, "requests of its own");
    add(stats.puts, "puts");
    add(stats.reads, "reads");
    add(staging.total - staging.free + staging.reserved, "staging pages in use or reserved");
  }
  if (receiver_ != nullptr) {
    const auto stats = receiver_->stats();
    add(stats.requests, "requests of senders");
    add(stats.reads, "reads by others");
    add(stats.claims, "claims or gets that wait");
    add(stats.pages.held, "pages held by claims, pins or memory objects");
    add(stats.pages.granted, "pages being written");
    add(stats.pages.quarantined, "pages in quarantine");
  }
  return found;
}

std::string Stack::retire() {
  std::string found;
  loop_->run_sync([&] {
    found = under_way_on_loop();
    if (found.empty() && receiver_ != nullptr) {
      receiver_->close();
    }
  });
  return found;
}

Stack::~Stack() {
  close();
}

void Stack::close() {
  if (std::exchange(closed_, true) || loop_ == nullptr) {
    return;
  }
  if (sender_ != nullptr) {
    auto idle = std::make_shared<std::promise<void>>();
    auto reached = idle->get_future();
    loop_->run_sync([&] { sender_->close([idle] { idle->set_value(); }); });
    if (reached.wait_for(options_.pd_shutdown_timeout_ms) != std::future_status::ready) {
      log::warning("close: puts are not drained after {} ms, their connections are cut",
                   options_.pd_shutdown_timeout_ms.count());
      loop_->run_sync([&] {
        for (const auto& transport : transports_) {
          transport->close();
        }
        if (stock_ != nullptr) {
          stock_->close();
        }
      });
      reached.wait();  // A closed transport ends every write.
    }
  }
  loop_->run_sync([&] {
    if (receiver_ != nullptr) {
      receiver_->close();
    }
    for (const auto& transport : transports_) {
      transport->close();
    }
    if (stock_ != nullptr) {
      stock_->close();
    }
    sender_.reset();
    receiver_.reset();
    stock_.reset();
    network_.reset();
  });
  loop_ref_->detach();
  loop_->stop();
  for (const auto& transport : transports_) {
    transport->join();
  }
  transports_.clear();
}

std::vector<std::string> Stack::transport_names() const {
  std::vector<std::string> names;
  names.reserve(transports_.size());
  for (const auto& transport : transports_) {
    names.emplace_back(transport->name());
  }
  return names;
}

}  // namespace baton
