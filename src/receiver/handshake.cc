#include "src/receiver/handshake.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <string_view>
#include <vector>

namespace baton::receiver {
namespace {

template <typename T>
Status differs(std::string_view field, const T& sender, const T& receiver) {
  return absl::FailedPreconditionError(
      fmt::format("{} differs: the sender has {}, the receiver {}", field, sender, receiver));
}

}  // namespace

StatusOr<std::uint32_t> choose_version(const wire::Hello& hello, const VersionRange& own) {
  const auto common = own.highest_common({hello.version_min, hello.version_max});
  if (!common.has_value()) {
    return absl::FailedPreconditionError(
        fmt::format("no common protocol version: the sender speaks {} to {}, the receiver {} to {} "
                    "(pd_protocol_min, pd_protocol_max)",
                    hello.version_min, hello.version_max, own.min, own.max));
  }
  return *common;
}

Status check_layout(const wire::LayoutInfo& sender, const wire::LayoutInfo& receiver) {
  if (sender.model_name != receiver.model_name) {
    return differs("model_name", sender.model_name, receiver.model_name);
  }
  if (sender.model_fingerprint != receiver.model_fingerprint) {
    return differs("model_fingerprint", sender.model_fingerprint, receiver.model_fingerprint);
  }
  if (sender.hash_scheme != receiver.hash_scheme) {
    return differs("hash_scheme", sender.hash_scheme, receiver.hash_scheme);
  }
  if (sender.world_size != receiver.world_size) {
    return differs("world_size", sender.world_size, receiver.world_size);
  }
  if (sender.worker_id != receiver.worker_id) {
    return differs("worker_id", sender.worker_id, receiver.worker_id);
  }
  if (sender.chunk_size != receiver.chunk_size) {
    return differs("chunk_size", sender.chunk_size, receiver.chunk_size);
  }
  if (sender.fmt != receiver.fmt) {
    return differs("memory format", to_string(sender.fmt), to_string(receiver.fmt));
  }
  if (sender.shape != receiver.shape) {
    return differs("chunk shape", fmt::format("[{}]", fmt::join(sender.shape, ", ")),
                   fmt::format("[{}]", fmt::join(receiver.shape, ", ")));
  }
  if (sender.dtype != receiver.dtype) {
    return differs("dtype", to_string(sender.dtype), to_string(receiver.dtype));
  }
  return absl::OkStatus();
}

StatusOr<transport::Transport*> choose_transport(
    const wire::Hello& hello, std::span<transport::Transport* const> transports) {
  std::vector<std::string_view> offered;
  offered.reserve(hello.transports.size());
  for (const wire::TransportOffer& offer : hello.transports) {
    offered.push_back(offer.name);
  }
  std::vector<std::string_view> own;
  own.reserve(transports.size());
  for (transport::Transport* transport : transports) {
    own.push_back(transport->name());
    for (const wire::TransportOffer& offer : hello.transports) {
      if (offer.name == transport->name() && transport->can_serve(offer.offer)) {
        return transport;
      }
    }
  }
  return absl::FailedPreconditionError(fmt::format(
      "no common transport: the sender offers [{}], the receiver has [{}] (shm needs both on one "
      "host, in one network and PID namespace, under one user)",
      fmt::join(offered, ", "), fmt::join(own, ", ")));
}

}  // namespace baton::receiver
