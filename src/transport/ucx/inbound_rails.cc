#include "src/transport/ucx/inbound_rails.h"

#include <utility>

#include "src/transport/ucx/sealing.h"

namespace baton::transport::ucx {

InboundRails::InboundRails(Reactor& reactor, const UcxOptions& options,
                           const std::vector<std::unique_ptr<Context>>& contexts,
                           const RegisteredBuffer& buffer, UniqueFd socket, const tcp::Hello& hello,
                           const Secret& secret, Ended ended)
    : ended_(std::move(ended)) {
  const auto welcome = open_rails(reactor, options, contexts, buffer);
  if (!welcome.ok()) {
    reactor.post(lifetime_.guard([this, why = welcome.status()] { end(why); }));
    return;  // The socket closes: the sender hears that much.
  }
  line_ = std::make_unique<Line>(
      reactor, options.line, std::move(socket),
      Line::Actions{.receive = [](std::string_view /*message*/) -> Status {
                      return absl::DataLossError(
                          std::string("a sender has nothing to say on the line"));
                    },
                    .end = [this](const Status& why) { end(why); }});
  line_->send(seal(encode(*welcome), secret, hello));
}

StatusOr<Welcome> InboundRails::open_rails(Reactor& reactor, const UcxOptions& options,
                                           const std::vector<std::unique_ptr<Context>>& contexts,
                                           const RegisteredBuffer& buffer) {
  Welcome welcome{.base_address = reinterpret_cast<std::uintptr_t>(buffer.data()),
                  .page_bytes = buffer.page_bytes(),
                  .page_count = buffer.page_count(),
                  .rails = {}};
  for (const auto& context : contexts) {
    auto worker = Worker::create(reactor, *context, options.spin, [] {});
    if (!worker.ok()) {
      return worker.status();
    }
    auto address = (*worker)->address();
    auto rkey = context->packed_rkey();
    if (!address.ok() || !rkey.ok()) {
      return address.ok() ? rkey.status() : address.status();
    }
    workers_.push_back(*std::move(worker));
    welcome.rails.push_back({.worker_address = *std::move(address), .rkey = *std::move(rkey)});
  }
  return welcome;
}

void InboundRails::end(const Status& why) {
  // A writer without its line is fenced at once: nobody has to wait for its lease.
  workers_.clear();
  Ended ended = std::move(ended_);
  ended(why);
}

}  // namespace baton::transport::ucx
