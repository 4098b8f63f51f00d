// LMCache's proxy, as far as senders can hurt it: a PULL socket whose loop ends, for good, at
// anything that is not a ProxyNotif.
#pragma once

#include <zmq.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace baton::testing {

/// The req_id of exactly what msgspec makes of ProxyNotif(req_id=…): a map of two, "type" first.
/// Not Baton's decoder, which takes more.
inline std::optional<std::string> strict_proxy_notif(std::string_view bytes) {
  constexpr std::string_view kHead = "\x82\xa4type\xaaProxyNotif\xa6req_id";
  if (!bytes.starts_with(kHead)) {
    return std::nullopt;
  }
  bytes.remove_prefix(kHead.size());
  const auto lead = static_cast<std::uint8_t>(bytes.empty() ? 0 : bytes.front());
  std::size_t length = 0;
  std::size_t skip = 1;
  if ((lead & 0xe0U) == 0xa0U) {
    length = lead & 0x1fU;
  } else if (lead == 0xd9 && bytes.size() > 1) {
    length = static_cast<std::uint8_t>(bytes[1]);
    skip = 2;
  } else {
    return std::nullopt;
  }
  return bytes.size() == skip + length ? std::optional(std::string(bytes.substr(skip)))
                                       : std::nullopt;
}

/// Threads: its loop has one of its own; all methods from any other.
class StockProxy {
 public:
  StockProxy() : context_(zmq_ctx_new()) {
    void* const socket = zmq_socket(context_, ZMQ_PULL);
    char endpoint[64] = {};
    std::size_t size = sizeof endpoint;
    if (zmq_bind(socket, "tcp://127.0.0.1:*") != 0 ||
        zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size) != 0) {
      std::abort();
    }
    port_ = static_cast<std::uint16_t>(std::atoi(std::string_view(endpoint).substr(16).data()));
    thread_ = std::thread([this, socket] { loop(socket); });
  }
  ~StockProxy() {
    zmq_ctx_shutdown(context_);
    thread_.join();
    zmq_ctx_term(context_);
  }
  StockProxy(const StockProxy&) = delete;
  StockProxy& operator=(const StockProxy&) = delete;

  std::uint16_t port() const { return port_; }
  /// Waits for a first word about the request; false once the loop has ended, or after a minute.
  bool wait_for(const std::string& req_id) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::minutes(1),
                      [&] { return ended_ || counts_.contains(req_id); });
    return counts_.contains(req_id);
  }
  bool wait_for_end() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::minutes(1), [&] { return ended_; });
  }
  bool ended() {
    const std::lock_guard lock(mutex_);
    return ended_;
  }
  /// ProxyNotifs by req_id.
  std::map<std::string, int> counts() {
    const std::lock_guard lock(mutex_);
    return counts_;
  }

 private:
  void loop(void* socket) {
    bool alive = true;
    while (alive) {
      zmq_msg_t message;
      zmq_msg_init(&message);
      if (zmq_msg_recv(&message, socket, 0) < 0) {
        break;  // The test is over.
      }
      const auto req_id = strict_proxy_notif(
          {static_cast<const char*>(zmq_msg_data(&message)), zmq_msg_size(&message)});
      zmq_msg_close(&message);
      const std::lock_guard lock(mutex_);
      if (req_id.has_value()) {
        ++counts_[*req_id];
      } else {
        ended_ = true;
        alive = false;
      }
      changed_.notify_all();
    }
    zmq_close(socket);
  }

  void* const context_;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  std::map<std::string, int> counts_;
  std::thread thread_;
};

}  // namespace baton::testing
