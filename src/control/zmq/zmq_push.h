// The PUSH end. See zmq_network.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "src/control/control.h"
#include "src/control/zmq/environment.h"

namespace baton::control {

/// ZeroMQ would hand what was queued for a dead proxy to its next incarnation. So every socket
/// behind this object makes one connection in its life and accepts messages only while it has it:
/// when the connection ends, the socket goes with all that it holds, and a new one connects.
/// What was sent between two equal values of incarnation() went to one peer or nowhere.
class ZmqPush final : public Push {
 public:
  static StatusOr<std::unique_ptr<Push>> connect(ZmqEnvironment& environment,
                                                 const std::string& endpoint);
  ~ZmqPush() override;

  Status send(std::string_view payload) override;
  std::uint64_t incarnation() const override;
  void set_writable(Writable writable) override;

 private:
  class Link;
  explicit ZmqPush(std::shared_ptr<Link> link);

  const std::shared_ptr<Link> link_;
};

}  // namespace baton::control
