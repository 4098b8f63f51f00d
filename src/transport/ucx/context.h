// UCX's context of one rail: its devices, and the registration of the buffer with them.
#pragma once

#include <ucp/api/ucp_def.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "baton/status.h"
#include "src/memory/registered_buffer.h"

namespace baton::transport::ucx {

/// What a context may write by.
struct Planes {
  bool rdma = true;
  bool tcp = false;  ///< for experiments
};

/// UCX's own word for what went wrong, after ours.
Status to_status(ucs_status_t status, std::string_view what);

/// Owns a ucp_context and at most one memory registration. Workers end before it.
class Context {
 public:
  /// `devices` as UCX_NET_DEVICES, empty: what the environment says, or all.
  /// kFailedPrecondition if the environment asks for what is not allowed,
  /// kUnavailable if UCX finds nothing to work with.
  static StatusOr<std::unique_ptr<Context>> create(const std::string& devices, Planes planes);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  /// Registers the whole buffer; once. It stays where it is until this object is gone.
  Status map(const RegisteredBuffer& buffer);
  /// What a peer needs, beside an address, to write into the buffer. After map().
  StatusOr<std::string> packed_rkey() const;

  /// Are the ports up that were when this was made? UCX ends the process when the messages that
  /// connect queue pairs fail on a dead one.
  bool ports_are_alive() const;

  ucp_context_h get() const { return context_; }
  ucp_mem_h memory() const { return memory_; }
  MemoryKind memory_kind() const { return kind_; }

 private:
  Context(ucp_context_h context, std::vector<std::string> ports)
      : context_(context), ports_(std::move(ports)) {}

  ucp_context_h context_;
  const std::vector<std::string> ports_;  // "mlx5_0:1"; of RDMA devices
  ucp_mem_h memory_ = nullptr;
  MemoryKind kind_ = MemoryKind::kHost;
};

/// "1.13.1": of the library that is loaded.
std::string library_version();

}  // namespace baton::transport::ucx
