#include "src/transport/nixl/undertaker.h"

#include <system_error>
#include <utility>

namespace baton::transport::nixl {

Undertaker::~Undertaker() {
  for (auto& [id, burial] : burials_) {
    burial.join();
  }
}

void Undertaker::bury(std::unique_ptr<Agent> agent, Task gone) {
  const std::uint64_t id = ++last_;
  // Shared with the thread: if there can be none, both are still here.
  const auto body = std::make_shared<std::unique_ptr<Agent>>(std::move(agent));
  const auto over =
      std::make_shared<Task>(lifetime_.guard([this, id, gone = std::move(gone)]() mutable {
        if (auto burial = burials_.extract(id); !burial.empty()) {
          burial.mapped().join();  // It has nothing left to do.
        }
        gone();
      }));
  const auto bury_now = [&reactor = reactor_, body, over] {
    body->reset();
    reactor.post(std::move(*over));
  };
  try {
    burials_.emplace(id, std::thread(bury_now));
  } catch (const std::system_error& /*no thread*/) {
    bury_now();
  }
}

}  // namespace baton::transport::nixl
