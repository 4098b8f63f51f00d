// The control seam within one process and one thread: for tests and the simulator.
//
// Behaves as ZmqNetwork does where it matters: connections are made in a later turn, a client's
// messages wait (bounded) for a server that isn't there, a Push's don't, queues are bounded,
// destroyed ends lose what is under way to them, a second client with a taken identity goes
// unheard. Any non-empty name is an endpoint; one that ends in ":0" or ":*" gets a free port.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/scheduler.h"
#include "src/control/control.h"

namespace baton::control {

struct InprocOptions {
  std::size_t hwm = 1000;  ///< messages under way or waiting, per sender and direction
  std::size_t max_message_bytes = 8U << 20U;
};

/// One message on its way, for a filter to judge. Valid during the call only.
struct Envelope {
  enum class Kind : std::uint8_t { kToServer, kToClient, kToPull };
  Kind kind;
  std::string_view endpoint;  ///< of the server or pull that takes part
  std::string_view client;    ///< identity; empty for kToPull
  std::string_view from;      ///< the processes, as their networks were named
  std::string_view to;
  std::string_view payload;
};

/// How long each copy of a message takes. {0}: delivered as usual. Empty: lost. Two entries: twice.
/// Messages of equal delay keep their order; others may overtake each other.
using Filter = absl::AnyInvocable<std::vector<Duration>(const Envelope&)>;

namespace inproc {
class Hub;
}

/// On the loop, like everything it makes.
class InprocNetwork final : public Network {
 public:
  explicit InprocNetwork(Scheduler& scheduler, InprocOptions options = {});
  /// The same network, as a process sees it: its handlers run on `process`, a scheduler that ends
  /// after everything made here, and envelopes name it.
  InprocNetwork(const InprocNetwork& shared, Scheduler& process, std::string name);
  ~InprocNetwork() override;

  /// For messages sent from now on; null delivers everything.
  void set_filter(Filter filter);

  StatusOr<std::unique_ptr<Server>> bind_server(const std::string& endpoint,
                                                Server::Handler handler) override;
  StatusOr<std::unique_ptr<Client>> connect_client(const std::string& endpoint,
                                                   const std::string& identity,
                                                   Client::Handler handler) override;
  StatusOr<std::unique_ptr<Push>> connect_push(const std::string& endpoint) override;
  StatusOr<std::unique_ptr<Pull>> bind_pull(const std::string& endpoint,
                                            Pull::Handler handler) override;

 private:
  const std::shared_ptr<inproc::Hub> hub_;
  Scheduler& process_;
  const std::string name_;
};

}  // namespace baton::control
