// The receiver's end of a connection: a worker on each rail, for this one peer.
#pragma once

#include <memory>
#include <vector>

#include "src/base/lifetime.h"
#include "src/transport/tcp/gate.h"
#include "src/transport/ucx/line.h"
#include "src/transport/ucx/ucx_options.h"
#include "src/transport/ucx/welcome.h"
#include "src/transport/ucx/worker.h"

namespace baton::transport::ucx {

/// The peer's puts need nobody's help here, and ask nobody. Destroying this destroys the queue
/// pairs that they arrive at: that is the fence. Workers are there only while the line is.
class InboundRails final : public tcp::Inbound {
 public:
  /// One rail for each context.
  InboundRails(Reactor& reactor, const UcxOptions& options,
               const std::vector<std::unique_ptr<Context>>& contexts,
               const RegisteredBuffer& buffer, UniqueFd socket, const tcp::Hello& hello,
               const Secret& secret, Ended ended);
  InboundRails(const InboundRails&) = delete;
  InboundRails& operator=(const InboundRails&) = delete;

 private:
  StatusOr<Welcome> open_rails(Reactor& reactor, const UcxOptions& options,
                               const std::vector<std::unique_ptr<Context>>& contexts,
                               const RegisteredBuffer& buffer);
  void end(const Status& health);

  Ended ended_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Line> line_;
  Lifetime lifetime_;
};

}  // namespace baton::transport::ucx
