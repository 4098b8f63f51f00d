#include "tests/simulation/engine/decode_leg.h"

#include <fmt/format.h>

#include <utility>

#include "tests/simulation/world/timing.h"

namespace baton::simulation {

DecodeLeg::DecodeLeg(World& world, ReceiverProcess& process, std::string req_id,
                     std::vector<std::string> keys, Random random, Ended ended)
    : world_(world),
      process_(process),
      epoch_(process.epoch()),
      req_id_(std::move(req_id)),
      keys_(std::move(keys)),
      random_(random),
      ended_(std::move(ended)) {}

void DecodeLeg::start() {
  process_.post([weak = weak_from_this()] {
    if (const auto leg = weak.lock(); leg != nullptr && leg->running()) {
      leg->claim();
    }
  });
}

void DecodeLeg::forget() {
  ended_ = nullptr;
  claim_.reset();
}

void DecodeLeg::claim() {
  const auto call = world_.checker.calls().begin(
      process_.scheduler(), fmt::format("claim of {} at {}", req_id_, process_.name()),
      kClaimTimeout);
  process_.receiver().claims().claim(
      req_id_, keys_, world_.clock.now() + kClaimTimeout,
      [weak = weak_from_this(), call, &world = world_](StatusOr<Claim> claim) {
        world.checker.calls().end(call);
        if (const auto leg = weak.lock(); leg != nullptr && leg->running()) {
          leg->on_claimed(std::move(claim));
        }
      });
}

void DecodeLeg::on_claimed(StatusOr<Claim> claim) {
  world_.history.note(process_.name(), "claim of {}: {}", req_id_, claim.status().ToString());
  world_.coverage.hit(claim.ok() ? Point::kClaimed : Point::kClaimFailed);
  if (!claim.ok()) {
    finish(claim.status());
    return;
  }
  claim_ = *std::move(claim);
  if (claim_->chunks().size() != keys_.size()) {
    world_.checker.broken(Promise::kP1, fmt::format("the claim of {} has {} chunks of {}", req_id_,
                                                    claim_->chunks().size(), keys_.size()));
    finish(absl::InternalError("short claim"));
    return;
  }
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    look(i);
  }
  read_next();
}

void DecodeLeg::look(std::size_t index) {
  world_.checker.read(fmt::format("the claim of {} at {}", req_id_, process_.name()), keys_[index],
                      claim_->chunks()[index].bytes());
}

void DecodeLeg::read_next() {
  const Duration takes = random_.between(Duration(1), 2 * world_.profile.chunk_read);
  world_.clock.run_after(takes, [weak = weak_from_this()] {
    const auto leg = weak.lock();
    if (leg == nullptr || !leg->running()) {
      return;
    }
    leg->look(leg->read_);
    if (++leg->read_ < leg->keys_.size()) {
      leg->read_next();
      return;
    }
    for (std::size_t i = 0; i < leg->keys_.size(); ++i) {
      leg->look(i);
    }
    leg->finish(absl::OkStatus());
  });
}

void DecodeLeg::finish(const Status& status) {
  if (claim_.has_value()) {
    world_.touch(process_.name());
    claim_.reset();
  }
  world_.clock.post([ended = std::exchange(ended_, nullptr), status]() mutable { ended(status); });
}

}  // namespace baton::simulation
