// The two ends of a tcp stream, played by hand: they can break every rule.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "src/base/unique_fd.h"
#include "src/transport/tcp/frames.h"
#include "src/transport/tcp/opening.h"

namespace baton::conformance {

/// One end of a connected socket. Waits, and says what it is told to.
class RawStream {
 public:
  explicit RawStream(UniqueFd fd) : fd_(std::move(fd)) {}
  /// Connects to a port of this machine, from this address of it (127.x.y.z).
  explicit RawStream(std::uint16_t port, const std::string& from = "127.0.0.1");

  /// Stops early if the other end has had enough.
  void say(std::span<const std::byte> bytes);
  /// As much as the kernel takes without waiting; how much that was.
  std::size_t say_what_fits(std::span<const std::byte> bytes);
  /// Exactly `count` bytes; fewer if the other end closes first, which fails the test.
  std::vector<std::byte> hear(std::size_t count);
  /// Everything until the other end closes; that it does is what is tested.
  std::vector<std::byte> hear_to_the_end();
  /// A message of fixed size.
  template <typename Message>
  Message hear_message() {
    Message message{};
    const auto heard = hear(message.size());
    std::copy(heard.begin(), heard.end(), message.begin());
    return message;
  }
  void close() { fd_.reset(); }

  // The sender's part. `secret` need not be the right one.
  /// Says hello; what the other end answers.
  transport::tcp::Challenge greet(const transport::tcp::Hello& hello);
  /// Proves; what becomes of it.
  transport::tcp::Verdict prove(const transport::tcp::Hello& hello,
                                const transport::tcp::Challenge& challenge,
                                const transport::Secret& secret);
  transport::tcp::Verdict open(const transport::tcp::Hello& hello,
                               const transport::Secret& secret) {
    return prove(hello, greet(hello), secret);
  }

 private:
  bool wait_readable();

  UniqueFd fd_;
};

/// A listening socket in a receiver's place.
class RawReceiver {
 public:
  RawReceiver();

  /// Of one stream, to this address.
  transport::tcp::Ticket ticket() const { return ticket_; }
  RawStream accept();
  /// Accepts, and does what the real one does until the stream is open.
  RawStream accept_properly();

 private:
  UniqueFd listener_;
  transport::tcp::Ticket ticket_;
};

}  // namespace baton::conformance
