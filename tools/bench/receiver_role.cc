// Baton's receiver: what a decoder does with the puts, outside the timed part.
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "baton/pd_backend.h"
#include "src/base/digest.h"
#include "src/base/thread_annotations.h"
#include "tools/bench/chunks.h"
#include "tools/bench/failed.h"
#include "tools/bench/role.h"

namespace baton::bench {
namespace {

class Receiver final : public Role {
 public:
  explicit Receiver(const Json& arguments)
      : backend_(
            checked(PdBackend::create(options_of(arguments, baton::Role::kReceiver),
                                      layout_of(arguments.at("chunk_bytes").get<std::size_t>())),
                    "can't start")) {}

  Json started() override {
    return {{"init_port", backend_->init_port()}, {"alloc_port", backend_->alloc_port()}};
  }

  Json call(const std::string& op, const Json& arguments) override {
    if (op == "claim") {
      return claim(arguments);
    }
    if (op == "evict") {
      return {{"pages", backend_->evict_all_retained()}};
    }
    if (op == "stats") {
      const BackendStats stats = backend_->stats();
      return {{"retained", stats.pages_retained},
              {"free", stats.pages_free},
              {"held", stats.pages_held}};
    }
    if (op == "claim_all") {
      for (const Json& chain : arguments.at("chains")) {
        claim_next({chain.at("req"), chain.at("first"), chain.at("each")});
      }
      return Json::object();
    }
    if (op == "claim_trouble") {
      const MutexLock lock(trouble_->mutex);
      return {{"trouble", trouble_->text}};
    }
    if (op == "nothing") {
      return Json::object();
    }
    throw Failed("a receiver knows no " + op);
  }

 private:
  /// Claims and releases what `puts` of the same arguments has put, so that its pages may be
  /// evicted. With `digests`, of the chunks of the last request.
  Json claim(const Json& arguments) {
    const auto each = arguments.at("each").get<std::uint32_t>();
    const auto times = arguments.at("times").get<std::uint32_t>();
    const auto prefix = arguments.at("req").get<std::string>();
    auto first = arguments.at("first").get<std::uint64_t>();
    Json digests = Json::array();
    for (std::uint32_t i = 0; i < times; ++i, first += each) {
      const auto claim =
          checked(backend_->claim(request_of(prefix, first), keys_of(first, each)), "can't claim");
      if (i + 1 == times && arguments.value("digests", false)) {
        for (const MemoryObj& chunk : claim.chunks()) {
          digests.push_back(digest_of(chunk.bytes()));
        }
      }
    }
    return {{"digests", digests}};
  }

  struct Chain {
    std::string prefix;
    std::uint64_t first = 0;
    std::uint32_t each = 0;
  };
  /// What went wrong first; told on the progress thread.
  struct Trouble {
    Mutex mutex;
    std::string text ABSL_GUARDED_BY(mutex);
  };

  /// Claims and releases one request after the other, as soon as each is complete, for good.
  void claim_next(Chain chain) {
    backend_->claim_async(request_of(chain.prefix, chain.first), keys_of(chain.first, chain.each),
                          std::nullopt,
                          [this, chain, trouble = trouble_](const StatusOr<Claim>& claim) mutable {
                            if (claim.ok()) {
                              chain.first += chain.each;
                            } else if (claim.status().code() != StatusCode::kDeadlineExceeded) {
                              const MutexLock lock(trouble->mutex);
                              trouble->text = std::string(claim.status().message());
                              return;  // also the end of the backend
                            }
                            claim_next(std::move(chain));
                          });
  }

  std::shared_ptr<Trouble> trouble_ = std::make_shared<Trouble>();
  std::unique_ptr<PdBackend> backend_;  // ends first
};

}  // namespace

std::unique_ptr<Role> make_receiver(const Json& arguments) {
  return std::make_unique<Receiver>(arguments);
}

}  // namespace baton::bench
