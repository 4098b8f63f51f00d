#include "src/transport/ucx/inbound_rails.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "src/base/log.h"
#include "src/transport/ucx/sealing.h"

namespace baton::transport::ucx {

InboundRails::InboundRails(Reactor& reactor, const UcxOptions& options,
                           const std::vector<std::unique_ptr<Context>>& contexts,
                           const RegisteredBuffer& buffer, UniqueFd socket, const tcp::Hello& hello,
                           const Secret& secret, Ended ended)
    : ended_(std::move(ended)) {
  const auto welcome = open_rails(reactor, options, contexts, buffer);
  if (!welcome.ok()) {
    log::warning("ucx: peer {} can't be served: {}", hello.sender.brief(),
                 std::string(welcome.status().message()));
    reactor.post(lifetime_.guard([this, why = welcome.status()] { end(why); }));
    return;  // The socket closes: the sender hears that much.
  }
  line_ = std::make_unique<Line>(
      reactor, options.line, std::move(socket), /*max_message_bytes=*/0,
      Line::Actions{.receive = [](std::string_view /*message*/) -> Status {
                      return absl::DataLossError(
                          std::string("a sender has nothing to say on the line"));
                    },
                    .end = [this](const Status& why) { end(why); }});
  std::string plain = encode(*welcome);
  line_->send(seal(plain, secret, hello));
  wipe(plain);
}

StatusOr<Welcome> InboundRails::open_rails(Reactor& reactor, const UcxOptions& options,
                                           const std::vector<std::unique_ptr<Context>>& contexts,
                                           const RegisteredBuffer& buffer) {
  Welcome welcome{.base_address = reinterpret_cast<std::uintptr_t>(buffer.data()),
                  .page_bytes = buffer.page_bytes(),
                  .page_count = buffer.page_count(),
                  .rails = {}};
  for (const auto& context : contexts) {
    auto worker = Worker::create(reactor, *context, options.spin, [this](const Status& health) {
      if (!health.ok()) {
        end(health);
      }
    });
    if (!worker.ok()) {
      return worker.status();
    }
    auto address = (*worker)->address();
    auto rkey = context->packed_rkey();
    if (!address.ok() || !rkey.ok()) {
      return address.ok() ? rkey.status() : address.status();
    }
    if (address->size() > kMaxBlobBytes || rkey->size() > kMaxBlobBytes) {
      return absl::InternalError(
          fmt::format("UCX's address has {} bytes and its key {}; at most {} fit the welcome",
                      address->size(), rkey->size(), kMaxBlobBytes));
    }
    workers_.push_back(*std::move(worker));
    welcome.rails.push_back({.worker_address = *std::move(address), .rkey = *std::move(rkey)});
  }
  return welcome;
}

void InboundRails::end(const Status& health) {
  const Status why = health;  // Who says it may end here.
  // A writer without its line, or without a rail, is fenced at once: nobody has to wait for its
  // lease.
  line_.reset();
  workers_.clear();
  Ended ended = std::move(ended_);
  ended(why);
}

}  // namespace baton::transport::ucx
