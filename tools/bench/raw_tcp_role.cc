// raw_tcp: bytes over loopback straight into another process's buffer of the same kind, and a byte
// back once they are there. No frames, no checks: a thread for each stream, or one for all of them
// that spins as Baton's loop does. This is the sender, which chooses.
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <memory>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "src/memory/registered_buffer.h"
#include "tools/bench/chunks.h"
#include "tools/bench/failed.h"
#include "tools/bench/json_pipe.h"
#include "tools/bench/loopback_socket.h"
#include "tools/bench/raw_tcp.h"
#include "tools/bench/role.h"
#include "tools/bench/stats.h"

namespace baton::bench {
namespace {

using namespace raw_tcp;

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

class RawTcpSender final : public Role {
 public:
  explicit RawTcpSender(const Json& arguments)
      : buffer_(checked(RegisteredBuffer::create(arguments.at("chunk_bytes").get<std::size_t>(),
                                                 arguments.at("chunks").get<std::uint32_t>()),
                        "can't make a buffer")),
        batch_bytes_(buffer_->page_bytes() * arguments.at("batch").get<std::size_t>()) {
    fill({buffer_->data(), buffer_->size_bytes()}, 3);
    for (std::uint32_t i = 0; i < 2 * kMaxStreams; ++i) {
      sockets_.push_back(connect_to_loopback(arguments.at("port").get<std::uint16_t>()));
    }
    choose();
  }

  Json started() override {
    return {{"chosen", chosen_.name()},
            {"streams", chosen_.streams},
            {"write_bytes", chosen_.write_bytes},
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
  enum class Way : std::uint8_t { kThreads, kThreadsWholeReads, kOneThread };
  struct Choice {
    std::uint32_t streams = 1;
    std::size_t write_bytes = 0;
    Way way = Way::kThreads;

    std::string name() const {
      return fmt::format("{} x {} KiB{}", streams, write_bytes >> 10U,
                         way == Way::kOneThread           ? ", one thread"
                         : way == Way::kThreadsWholeReads ? ", whole"
                                                          : "");
    }
  };

  /// The fastest on these very buffers: of all ways by their best try, of the best few by their
  /// median.
  void choose() {
    constexpr int kTries = 3;
    constexpr int kFinalTries = 9;
    constexpr std::size_t kFinalists = 4;
    std::vector<std::pair<double, Choice>> tried;
    for (std::uint32_t streams = 1; streams <= kMaxStreams; ++streams) {
      for (const std::size_t kib : {64U, 256U, 1024U}) {
        for (const Way way : {Way::kThreads, Way::kThreadsWholeReads, Way::kOneThread}) {
          chosen_ = {streams, kib << 10U, way};
          const std::vector<double> us = several_us(kTries);
          const double gbps =
              static_cast<double>(batch_bytes_) / *std::min_element(us.begin(), us.end()) / 1e3;
          tried_[chosen_.name()] = gbps;
          tried.emplace_back(gbps, chosen_);
        }
      }
    }
    std::sort(tried.begin(), tried.end(),
              [](const auto& a, const auto& b) { return a.first > b.first; });
    double least_us = std::numeric_limits<double>::infinity();
    Choice fastest;
    for (std::size_t i = 0; i < kFinalists; ++i) {
      chosen_ = tried[i].second;
      if (const double us = median(several_us(kFinalTries)); us < least_us) {
        least_us = us;
        fastest = chosen_;
      }
    }
    chosen_ = fastest;
  }

  std::vector<double> several_us(int times) {
    std::vector<double> us;
    for (int i = 0; i < times; ++i) {
      us.push_back(batch_us());
    }
    return us;
  }

  double batch_us() {
    const std::size_t at = std::exchange(next_, (next_ + batch_bytes_) % buffer_->size_bytes());
    const std::size_t each = batch_bytes_ / chosen_.streams;
    const auto share_of = [&](std::uint32_t i) {
      const bool is_last = i + 1 == chosen_.streams;
      return Share{at + i * each, is_last ? batch_bytes_ - i * each : each,
                   chosen_.way == Way::kThreadsWholeReads ? 1U : 0U};
    };
    const auto begun = Clock::now();
    if (chosen_.way == Way::kOneThread) {
      std::vector<Share> shares;
      for (std::uint32_t i = 0; i < chosen_.streams; ++i) {
        shares.push_back(share_of(i));
      }
      send_all(shares);
    } else {
      std::vector<std::thread> others;
      for (std::uint32_t i = 1; i < chosen_.streams; ++i) {
        others.emplace_back([this, i, &share_of] { send_share(i, share_of(i)); });
      }
      send_share(0, share_of(0));
      for (std::thread& other : others) {
        other.join();
      }
    }
    return std::chrono::duration<double, std::micro>(Clock::now() - begun).count();
  }

  void send_share(std::uint32_t stream, const Share& share) {
    const int socket = sockets_[stream].get();
    write_all(socket, &share, sizeof share, sizeof share);
    write_all(socket, buffer_->data() + share.offset, share.bytes, chosen_.write_bytes);
    char there = 0;
    if (!read_all(socket, &there, 1, true)) {
      throw Failed("raw_tcp's receiver is gone");
    }
  }

  /// One thread, each stream in turn as far as it has room.
  void send_all(const std::vector<Share>& shares) {
    const std::span<const UniqueFd> sockets(&sockets_[kMaxStreams], shares.size());
    std::array<std::size_t, kMaxStreams> left{};
    for (std::size_t i = 0; i < shares.size(); ++i) {
      write_all(sockets[i].get(), &shares[i], sizeof shares[i], sizeof shares[i]);
      left[i] = shares[i].bytes;
    }
    const auto check_moved = [](ssize_t moved) {
      if (moved <= 0 && !must_wait(moved)) {
        throw Failed("raw_tcp's receiver is gone");
      }
      return moved > 0;
    };
    const auto send_some = [&](std::size_t i) {
      const std::byte* const from = buffer_->data() + shares[i].offset + shares[i].bytes - left[i];
      const ssize_t sent = ::send(sockets[i].get(), from, std::min(left[i], chosen_.write_bytes),
                                  MSG_DONTWAIT | MSG_NOSIGNAL);
      left[i] -= static_cast<std::size_t>(std::max<ssize_t>(sent, 0));
      return check_moved(sent);
    };
    spin(
        sockets, POLLOUT,
        [&] {
          bool moved = false;
          for (std::size_t i = 0; i < shares.size(); ++i) {
            moved = (left[i] > 0 && send_some(i)) || moved;
          }
          return moved;
        },
        [&] { return left == decltype(left){}; });
    for (const UniqueFd& socket : sockets) {
      char there = 0;
      bool is_there = false;
      spin(
          {&socket, 1}, POLLIN,
          [&] { return is_there = check_moved(::recv(socket.get(), &there, 1, MSG_DONTWAIT)); },
          [&] { return is_there; });
    }
  }

  std::unique_ptr<RegisteredBuffer> buffer_;
  std::size_t batch_bytes_;
  std::vector<UniqueFd> sockets_;
  Choice chosen_;
  Json tried_ = Json::object();
  std::size_t next_ = 0;
};

}  // namespace

std::unique_ptr<Role> make_raw_tcp_sender(const Json& arguments) {
  return std::make_unique<RawTcpSender>(arguments);
}

}  // namespace baton::bench
