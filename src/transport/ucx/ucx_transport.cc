#include "src/transport/ucx/ucx_transport.h"

#include <fmt/format.h>

#include <utility>

#include "src/base/log.h"
#include "src/transport/post_done.h"
#include "src/transport/ucx/inbound_rails.h"
#include "src/transport/ucx/offer.h"
#include "src/transport/ucx/outbound_rails.h"
#include "src/transport/ucx/rdma_devices.h"

namespace baton::transport {
namespace {

Status check(const UcxOptions& options, bool has_rdma) {
  if (options.rails.size() > ucx::kMaxRails) {
    return absl::InvalidArgumentError(
        fmt::format("{} rails: at most {} are allowed", options.rails.size(), ucx::kMaxRails));
  }
  if (options.piece_bytes == 0 || options.max_under_way == 0 ||
      options.stall_limit <= Duration::zero()) {
    return absl::InvalidArgumentError(
        std::string("piece_bytes, max_under_way and stall_limit of ucx must not be 0"));
  }
  if (!has_rdma && !options.insecure) {
    return absl::FailedPreconditionError(std::string(
        "this host has no RDMA device with an active port (see `baton doctor`); ucx would write "
        "over TCP, where whoever can connect can write anywhere in this process: choose tcp, or, "
        "for an experiment, set insecure_data_plane: true"));
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<std::unique_ptr<UcxTransport>> UcxTransport::create(Reactor& reactor, const PeerId& self,
                                                             UcxOptions options) {
  options.line.streams = 1;
  const auto devices = ucx::list_rdma_devices();
  const bool has_rdma = ucx::any_active_port(devices);
  if (Status status = check(options, has_rdma); !status.ok()) {
    return status;
  }
  if (options.insecure) {
    log::warning(
        "ucx may write over TCP (insecure_data_plane: true): whoever can connect to this process "
        "can write anywhere in it, and a peer that dies may take it along");
  }
  std::vector<std::unique_ptr<ucx::Context>> contexts;
  const std::vector<std::string> rails =
      options.rails.empty() ? std::vector<std::string>{""} : options.rails;
  for (const std::string& rail : rails) {
    auto context = ucx::Context::create(rail, {.rdma = has_rdma, .tcp = options.insecure});
    if (!context.ok()) {
      return context.status();
    }
    contexts.push_back(*std::move(context));
  }
  auto listener = listen(options.line);
  if (!listener.ok()) {
    return listener.status();
  }
  return std::unique_ptr<UcxTransport>(
      new UcxTransport(reactor, self, std::move(options), *std::move(listener), std::move(contexts),
                       ucx::make_offer(devices, options.insecure)));
}

UcxTransport::UcxTransport(Reactor& reactor, const PeerId& self, UcxOptions options,
                           Listener listener, std::vector<std::unique_ptr<ucx::Context>> contexts,
                           std::string offer)
    : SocketTransport(reactor, self, options.line, std::move(listener)),
      options_(std::move(options)),
      offer_(std::move(offer)),
      contexts_(std::move(contexts)) {}

Status UcxTransport::attach_plane(RegisteredBuffer& buffer) {
  for (const auto& context : contexts_) {
    if (Status mapped = context->map(buffer); !mapped.ok()) {
      return mapped;
    }
  }
  buffer_ = &buffer;
  return absl::OkStatus();
}

bool UcxTransport::can_serve(std::string_view offer) const {
  return ucx::offers_meet(offer_, offer);
}

std::unique_ptr<tcp::Inbound> UcxTransport::make_inbound(UniqueFd socket, const tcp::Hello& hello,
                                                         const Secret& secret,
                                                         tcp::Inbound::Ended ended) {
  return std::make_unique<ucx::InboundRails>(reactor(), options_, contexts_, *buffer_,
                                             std::move(socket), hello, secret, std::move(ended));
}

std::unique_ptr<tcp::Outbound> UcxTransport::make_outbound(tcp::Call call) {
  return std::make_unique<ucx::OutboundRails>(reactor(), options_, contexts_, std::move(call));
}

void UcxTransport::join() {
  SocketTransport::join();
  contexts_.clear();  // Behind every fence: now the memory may be given back.
}

}  // namespace baton::transport
