// Two ranks on each side, and the proxy that waits for both.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "baton/pd_backend.h"
#include "src/base/event_loop.h"
#include "src/base/unique_fd.h"
#include "src/control/zmq/zmq_network.h"
#include "src/proxy/release_gate.h"
#include "tests/support/backend_pair.h"

namespace baton::testing {

/// A ReleaseGate on a thread of its own, on any port.
class ProxyGate {
 public:
  ProxyGate() : loop_(EventLoop::create("gate").value()) {
    loop_->start();
    loop_->run_sync([this] {
      network_ = std::make_unique<control::ZmqNetwork>(*loop_);
      gate_ = proxy::ReleaseGate::bind(*loop_, *network_, "tcp://127.0.0.1:0").value();
      endpoint_ = gate_->endpoint();
    });
  }
  ~ProxyGate() {
    loop_->run_sync([this] {
      gate_.reset();
      network_.reset();
    });
  }
  ProxyGate(const ProxyGate&) = delete;
  ProxyGate& operator=(const ProxyGate&) = delete;

  std::uint16_t port() const {
    return static_cast<std::uint16_t>(std::stoul(endpoint_.substr(endpoint_.rfind(':') + 1)));
  }
  /// Becomes ready when all ranks have spoken, or with why they won't.
  std::future<Status> expect(const std::string& req_id, std::uint32_t ranks) {
    auto promise = std::make_shared<std::promise<Status>>();
    loop_->run_sync([&] {
      EXPECT_TRUE(gate_
                      ->expect(req_id, ranks, std::chrono::minutes(1),
                               [promise](Status status) { promise->set_value(std::move(status)); })
                      .ok());
    });
    return promise->get_future();
  }

 private:
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<control::ZmqNetwork> network_;
  std::unique_ptr<proxy::ReleaseGate> gate_;
  std::string endpoint_;
};

inline CacheLayout rank_layout(std::uint32_t rank) {
  CacheLayout layout = small_layout();
  layout.world_size = 2;
  layout.worker_id = rank;
  return layout;
}

inline std::vector<CacheEngineKey> rank_keys(std::uint32_t rank, std::uint64_t first,
                                             std::uint64_t count) {
  std::vector<CacheEngineKey> keys = small_keys(first, count);
  for (CacheEngineKey& key : keys) {
    key.world_size = 2;
    key.worker_id = rank;
  }
  return keys;
}

/// Free a moment ago; another process may have it by now.
inline std::uint16_t free_port() {
  const UniqueFd probe(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  EXPECT_EQ(bind(probe.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
  EXPECT_EQ(getsockname(probe.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  return ntohs(address.sin_port);
}

/// Four backends of `pages` pages each. Rank 0's alloc port is fixed: that is where rank 1 asks.
class RankPairs {
 public:
  RankPairs(TransportChoice transport, std::uint32_t pages, std::uint16_t proxy_port) {
    Options decode = small_options(Role::kReceiver, pages, transport);
    decode.pd_peer_init_port = {0, 0};
    for (int tries = 0; receivers_[0] == nullptr; ++tries) {
      decode.pd_peer_alloc_port = {free_port(), 0};
      auto leader = PdBackend::create(decode, rank_layout(0));
      if (leader.ok()) {
        receivers_[0] = *std::move(leader);
      } else if (tries == 8) {
        receivers_[0] = make_backend(decode, rank_layout(0));  // Says why, and ends.
      }
    }
    receivers_[1] = make_backend(decode, rank_layout(1));
    Options prefill = small_options(Role::kSender, pages, transport);
    prefill.pd_proxy_host = "127.0.0.1";
    prefill.pd_proxy_port = proxy_port;
    prefill.pd_proxy_kind = ProxyKind::kBaton;
    for (const std::uint32_t rank : {0U, 1U}) {
      senders_[rank] = make_backend(prefill, rank_layout(rank));
    }
  }

  PdBackend& sender(std::uint32_t rank) { return *senders_[rank]; }
  PdBackend& receiver(std::uint32_t rank) { return *receivers_[rank]; }

  /// The same for both ranks, as an engine would share it.
  TransferSpec transfer(const std::string& req_id, std::uint64_t attempt, std::uint32_t chunks,
                        bool is_last = true) const {
    TransferSpec spec;
    spec.req_id = req_id;
    spec.attempt = attempt;
    spec.total_chunks = chunks;
    spec.is_last_prefill = is_last;
    for (const auto& receiver : receivers_) {
      spec.receiver_init_port.push_back(receiver->init_port());
      spec.receiver_alloc_port.push_back(receiver->alloc_port());
    }
    return spec;
  }

 private:
  std::array<std::unique_ptr<PdBackend>, 2> receivers_;
  std::array<std::unique_ptr<PdBackend>, 2> senders_;
};

}  // namespace baton::testing
