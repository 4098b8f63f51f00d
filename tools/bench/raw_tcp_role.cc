// raw_tcp: bytes over loopback straight into another process's buffer of the same kind, and a byte
// back once they are there. No frames, no checks, no event loop: a thread for each stream.
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "src/memory/registered_buffer.h"
#include "tools/bench/chunks.h"
#include "tools/bench/failed.h"
#include "tools/bench/json_pipe.h"
#include "tools/bench/loopback_socket.h"
#include "tools/bench/role.h"
#include "tools/bench/stats.h"

namespace baton::bench {
namespace {

constexpr std::uint32_t kMaxStreams = 4;

/// What precedes the bytes of one stream's share.
struct Share {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t whole_reads = 0;  ///< 1: the receiver waits for whole pieces
};

constexpr std::size_t kReadBytes = std::size_t{1} << 20U;

bool read_all(int socket, void* to, std::size_t bytes, bool whole_reads) {
  auto* at = static_cast<std::byte*>(to);
  while (bytes > 0) {
    const ssize_t got =
        ::recv(socket, at, std::min(bytes, kReadBytes), whole_reads ? MSG_WAITALL : 0);
    if (got <= 0 && errno != EINTR) {
      return false;
    }
    at += std::max<ssize_t>(got, 0);
    bytes -= static_cast<std::size_t>(std::max<ssize_t>(got, 0));
  }
  return true;
}

void write_all(int socket, const void* from, std::size_t bytes, std::size_t write_bytes) {
  const auto* at = static_cast<const std::byte*>(from);
  while (bytes > 0) {
    const ssize_t sent = ::send(socket, at, std::min(bytes, write_bytes), MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) {
        continue;
      }
      throw Failed("raw_tcp's receiver is gone");
    }
    at += sent;
    bytes -= static_cast<std::size_t>(sent);
  }
}

class RawTcpReceiver final : public Role {
 public:
  explicit RawTcpReceiver(const Json& arguments)
      : buffer_(checked(RegisteredBuffer::create(arguments.at("chunk_bytes").get<std::size_t>(),
                                                 arguments.at("chunks").get<std::uint32_t>()),
                        "can't make a buffer")),
        listener_(listen_on_loopback()) {
    // Ends with the process.
    std::thread([this] {
      for (std::uint32_t i = 0; i < kMaxStreams; ++i) {
        std::thread([this, socket = accept_one(listener_)] { serve(socket.get()); }).detach();
      }
    }).detach();
  }
  Json started() override { return {{"port", listener_.port}}; }
  Json call(const std::string& op, const Json& /*arguments*/) override {
    if (op == "nothing") {
      return Json::object();
    }
    throw Failed("raw_tcp's receiver knows no " + op);
  }

 private:
  void serve(int socket) {
    Share share;
    const char there = 1;
    while (read_all(socket, &share, sizeof share, true) &&
           read_all(socket, buffer_->data() + share.offset, share.bytes, share.whole_reads == 1)) {
      if (::send(socket, &there, 1, MSG_NOSIGNAL) != 1) {
        return;
      }
    }
  }

  std::unique_ptr<RegisteredBuffer> buffer_;
  LoopbackListener listener_;
};

class RawTcpSender final : public Role {
 public:
  explicit RawTcpSender(const Json& arguments)
      : buffer_(checked(RegisteredBuffer::create(arguments.at("chunk_bytes").get<std::size_t>(),
                                                 arguments.at("chunks").get<std::uint32_t>()),
                        "can't make a buffer")),
        batch_bytes_(buffer_->page_bytes() * arguments.at("batch").get<std::size_t>()) {
    fill({buffer_->data(), buffer_->size_bytes()}, 3);
    for (std::uint32_t i = 0; i < kMaxStreams; ++i) {
      sockets_.push_back(connect_to_loopback(arguments.at("port").get<std::uint16_t>()));
    }
    choose();
  }

  Json started() override {
    return {{"streams", streams_},
            {"write_bytes", write_bytes_},
            {"whole_reads", whole_reads_},
            {"tried_gbps", tried_}};
  }
  Json call(const std::string& op, const Json& /*arguments*/) override {
    if (op != "pass") {
      throw Failed("raw_tcp's sender knows no " + op);
    }
    double us = 0;
    for (std::size_t done = 0; done < buffer_->size_bytes(); done += batch_bytes_) {
      us += batch_us();
    }
    return {{"us", us}};
  }

 private:
  /// The fastest on these very buffers.
  void choose() {
    constexpr int kTries = 3;
    double best = 0;
    std::tuple<std::uint32_t, std::size_t, bool> fastest;
    for (std::uint32_t streams = 1; streams <= kMaxStreams; ++streams) {
      for (const std::size_t kib : {64U, 256U, 1024U}) {
        for (const bool whole : {false, true}) {
          std::tie(streams_, write_bytes_, whole_reads_) = std::tuple(streams, kib << 10U, whole);
          std::vector<double> us;
          for (int i = 0; i < kTries; ++i) {
            us.push_back(batch_us());
          }
          const double gbps = static_cast<double>(batch_bytes_) / median(us) / 1e3;
          tried_[fmt::format("{} x {} KiB{}", streams, kib, whole ? ", whole" : "")] = gbps;
          if (gbps > best) {
            best = gbps;
            fastest = {streams_, write_bytes_, whole_reads_};
          }
        }
      }
    }
    std::tie(streams_, write_bytes_, whole_reads_) = fastest;
  }

  double batch_us() {
    const std::size_t at = std::exchange(next_, (next_ + batch_bytes_) % buffer_->size_bytes());
    const std::size_t each = batch_bytes_ / streams_;
    const auto begun = Clock::now();
    std::vector<std::thread> others;
    for (std::uint32_t i = 1; i < streams_; ++i) {
      const std::size_t bytes = i + 1 == streams_ ? batch_bytes_ - i * each : each;
      others.emplace_back([this, i, at, each, bytes] { send_share(i, at + i * each, bytes); });
    }
    send_share(0, at, streams_ == 1 ? batch_bytes_ : each);
    for (std::thread& other : others) {
      other.join();
    }
    return std::chrono::duration<double, std::micro>(Clock::now() - begun).count();
  }

  void send_share(std::uint32_t stream, std::size_t offset, std::size_t bytes) {
    const int socket = sockets_[stream].get();
    const Share share{offset, bytes, whole_reads_ ? 1U : 0U};
    write_all(socket, &share, sizeof share, sizeof share);
    write_all(socket, buffer_->data() + offset, bytes, write_bytes_);
    char there = 0;
    if (!read_all(socket, &there, 1, true)) {
      throw Failed("raw_tcp's receiver is gone");
    }
  }

  std::unique_ptr<RegisteredBuffer> buffer_;
  std::size_t batch_bytes_;
  std::vector<UniqueFd> sockets_;
  std::uint32_t streams_ = 1;
  std::size_t write_bytes_ = 0;
  bool whole_reads_ = false;
  Json tried_ = Json::object();
  std::size_t next_ = 0;
};

}  // namespace

std::unique_ptr<Role> make_raw_tcp_sender(const Json& arguments) {
  return std::make_unique<RawTcpSender>(arguments);
}
std::unique_ptr<Role> make_raw_tcp_receiver(const Json& arguments) {
  return std::make_unique<RawTcpReceiver>(arguments);
}

}  // namespace baton::bench
