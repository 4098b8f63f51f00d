// The soak's processes, and what they say to the driver and hear from it.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "baton/status.h"
#include "src/base/unique_fd.h"

namespace baton::soak {

enum class Word : std::uint32_t {
  kReady,      ///< worker: serves
  kExpect,     ///< to the proxy: this request begins
  kExpected,   ///< proxy: it may begin
  kForget,     ///< to the proxy: its prefiller has said that it failed
  kReleased,   ///< proxy: OK, it may be decoded; otherwise why not
  kPrefill,    ///< to a prefiller
  kPrefilled,  ///< prefiller: what came of all puts
  kClaim,      ///< to a decoder
  kClaimed,    ///< decoder: OK, all chunks were there, `count` of them with wrong bytes
  kCancel,     ///< to a decoder: nobody will claim it
  kSettle,     ///< to a prefiller or decoder: nothing is under way
  kSettled,    ///< prefiller, decoder: `count` pages did not come back
};

/// Fixed in size, so that a packet is a message.
struct Message {
  Word word = Word::kReady;
  std::uint32_t number = 0;  ///< the request's, in the round
  std::uint64_t round = 0;
  std::uint32_t code = 0;  ///< absl::StatusCode
  std::uint32_t count = 0;
  std::array<char, 256> why{};  ///< ends with a 0

  Status status() const;
  void set_status(const Status& status);
};

/// One end of a SOCK_SEQPACKET pair. send() from any thread, receive() from one.
class Channel {
 public:
  explicit Channel(UniqueFd socket) : socket_(std::move(socket)) {}
  int fd() const { return socket_.get(); }
  /// False if the other side is gone.
  bool send(const Message& message) const;
  /// Waits; nothing once the other side is gone.
  std::optional<Message> receive() const;

 private:
  UniqueFd socket_;
};

/// Forked from a process with one thread. Killed and reaped with this object; dies with its parent.
class Process {
 public:
  using Body = std::function<int(const Channel& driver)>;

  Process(std::string name, const Body& body);
  ~Process() { kill_and_reap(); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  const std::string& name() const { return name_; }
  const Channel& channel() const { return channel_; }
  /// SIGKILL, and waits until it has ended.
  void kill_and_reap();

 private:
  struct Pair {
    UniqueFd driver;
    UniqueFd worker;
  };
  static Pair make_pair();
  Process(std::string name, const Body& body, Pair pair);

  std::string name_;
  pid_t pid_;
  Channel channel_;
};

/// A TCP port of the loopback address that stays ours while its owner dies and comes back: bound,
/// never listening, so others with SO_REUSEADDR may listen on it and nobody is given it at random.
class ReservedPort {
 public:
  ReservedPort();
  std::uint16_t number() const { return number_; }

 private:
  UniqueFd socket_;
  std::uint16_t number_ = 0;
};

}  // namespace baton::soak
