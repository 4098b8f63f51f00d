// A transport in a process of its own, which can be stopped and killed.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "src/base/unique_fd.h"
#include "src/transport/transport.h"

namespace baton::conformance {

/// Runs helper/conformance_peer.cc. Talks in lines: commands there, events back. The process ends
/// with this object, or when this process ends.
class PeerProcess {
 public:
  explicit PeerProcess(std::string_view transport);
  ~PeerProcess();
  PeerProcess(const PeerProcess&) = delete;
  PeerProcess& operator=(const PeerProcess&) = delete;

  const transport::PeerId& id() const { return id_; }

  void send(const std::string& command);
  /// The rest of the next line that starts with `event`; lines before it are dropped. Empty
  /// optional if it does not come.
  std::optional<std::string> await(std::string_view event);
  /// True once both have come, in either order.
  bool await_both(std::string_view one, std::string_view other);

  /// Each returns when the process has stopped, or ended.
  void stop();
  void kill();
  void resume();

 private:
  std::optional<std::string> read_line();

  pid_t pid_ = -1;
  UniqueFd commands_;
  UniqueFd events_;
  std::string unread_;
  transport::PeerId id_;
};

std::string to_hex(std::string_view bytes);
std::string from_hex(std::string_view hex);

}  // namespace baton::conformance
