#include "tests/simulation/world/processes.h"

#include <fmt/format.h>

#include <cstdlib>
#include <utility>

#include "tests/simulation/world/timing.h"
#include "tests/simulation/world/world.h"

namespace baton::simulation {
namespace {

/// What can't fail here; if it does, the simulator is wrong.
template <typename T>
T must(StatusOr<T> made) {
  if (!made.ok()) {
    fmt::print(stderr, "baton-sim: {}\n", made.status().ToString());
    std::abort();
  }
  return *std::move(made);
}

/// Puts of no more chunks are written into pages ahead, or verified at once if they lie there.
constexpr std::size_t kAheadChunks = 3;

std::shared_ptr<RegisteredBuffer> make_buffer(std::uint32_t pages) {
  return must(RegisteredBuffer::create(page_bytes(), pages));
}

}  // namespace

// ---- SenderProcess -----------------------------------------------------------------------------

void SenderProcess::build() {
  buffer_ = make_buffer(world_.profile.staging_pages);
  staging_ = StagingPool::create(buffer_, loop_);
  transport_ = std::make_unique<transport::LoopbackTransport>(world_.hub, epoch_, *scheduler_);
  static_cast<void>(transport_->attach(*buffer_));
  sender::Config config;
  config.epoch = epoch_;
  config.layout = layout_of(world_.profile.ranks, rank_);
  config.proxy_endpoint = ProxyProcess::kEndpoint;
  config.handshake_timeout = kHandshakeTimeout;
  config.admission_timeout = kAdmissionTimeout;
  config.put_timeout = kPutTimeout;
  config.drain_timeout = kDrainTimeout;
  config.request_idle_timeout = kRequestIdleTimeout;
  config.lease = kLease;
  config.eager_bytes = world_.profile.eager_chunks * page_bytes();
  config.pages_ahead = world_.profile.pages_ahead;
  config.ahead_bytes = kAheadChunks * page_bytes();
  if (world_.profile.baton_proxy) {
    config.proxy_kind = ProxyKind::kBaton;
  }
  if (world_.profile.old_sender && oldest_) {
    config.versions.max = 1;
  }
  sender_ = must(sender::Sender::create({*scheduler_, *network_, {transport_.get()}, staging_},
                                        std::move(config)));
  world_.checker.sender_started(name_, epoch_, *staging_);
}

void SenderProcess::destroy() {
  sender_.reset();
  transport_.reset();
  staging_.reset();
  buffer_.reset();
}

// ---- ReceiverProcess ---------------------------------------------------------------------------

ReceiverProcess::ReceiverProcess(World& world, std::string name, std::uint32_t index,
                                 std::uint32_t rank)
    : Process(world, std::move(name)),
      rank_(rank),
      leader_(fmt::format("inproc://d{}.0-alloc", index)),
      address_{"inproc://" + name_ + "-init", "inproc://" + name_ + "-alloc"} {}

void ReceiverProcess::build() {
  buffer_ = make_buffer(world_.profile.receiver_pages);
  transport_ = std::make_unique<transport::LoopbackTransport>(world_.hub, epoch_, *scheduler_);
  static_cast<void>(transport_->attach(*buffer_));
  receiver::Config config;
  config.init_endpoint = address_.init_endpoint;
  config.alloc_endpoint = address_.alloc_endpoint;
  config.layout = layout_of(world_.profile.ranks, rank_);
  config.integrity = world_.profile.paranoid ? Integrity::kParanoid : Integrity::kFull;
  config.poison_pages = true;
  if (world_.profile.ranks > 1) {
    config.group_leader = leader_;
  }
  config.max_admission_wait = kAdmissionTimeout;
  config.claim_ttl = kClaimTtl;
  config.lease = kLease;
  receiver_ = must(receiver::Receiver::create(
      {*scheduler_, *network_, {transport_.get()}, buffer_, loop_, epoch_}, std::move(config)));
  world_.checker.receiver_started(name_, epoch_, *receiver_, *buffer_);
}

void ReceiverProcess::destroy() {
  receiver_.reset();
  transport_.reset();
  if (world_.profile.in_place_too) {
    mapped_.push_back(buffer_);
  }
  buffer_.reset();
}

// ---- ProxyProcess ------------------------------------------------------------------------------

ProxyProcess::ProxyProcess(World& world, std::vector<std::string> prefillers,
                           std::vector<std::string> decoders)
    : Process(world, "proxy"), prefillers_(std::move(prefillers)), decoders_(std::move(decoders)) {}

void ProxyProcess::build() {
  gate_ = must(proxy::ReleaseGate::bind(*scheduler_, *network_, kEndpoint));
  router_ = std::make_unique<proxy::Router>(must(proxy::Router::create(
      prefillers_, decoders_, {}, [this] { return fmt::format("r{}", ++requests_); })));
}

void ProxyProcess::destroy() {
  // Its end calls back those who wait; nobody is there any more to hear it.
  gate_.reset();
  router_.reset();
}

}  // namespace baton::simulation
