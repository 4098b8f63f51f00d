// One request of a user, over all its attempts: the proxy's and the engines' part of the work.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/engine/decode_leg.h"
#include "tests/simulation/engine/fleet.h"
#include "tests/simulation/engine/prefill_leg.h"

namespace baton::simulation {

/// waiting → prefilling → decoding → done; after a failed attempt waiting again, a few times.
class Job : public std::enable_shared_from_this<Job> {
 public:
  enum class State : std::uint8_t { kWaiting, kPrefilling, kDecoding, kDone };
  enum class Outcome : std::uint8_t { kCompleted, kFailed, kCancelled };

  Job(World& world, Fleet& fleet, std::uint64_t number, Prompt prompt, Random random);

  void start() { begin_attempt(); }
  /// By its user.
  void cancel();
  /// By whoever runs the decoder, behind the others' backs.
  void cancel_at_decoder();
  void on_crash(const Process& process);

  State state() const { return state_; }
  Outcome outcome() const { return outcome_; }
  const Prompt& prompt() const { return prompt_; }

 private:
  void begin_attempt();
  void assign();
  void start_prefill(std::uint32_t rank);
  void on_prefilled(std::uint32_t rank, const Status& status);
  void on_released(const Status& status);
  void on_decoded(const Status& status);
  void end_attempt(std::string_view why);
  void fail_attempt(std::string_view why);
  void finish(Outcome outcome);
  void tell_proxy(bool forget);

  /// A callback of this attempt: not run once another has begun.
  template <typename F>
  auto of_attempt(F step) {
    return [weak = weak_from_this(), serial = serial_, step](auto&&... args) mutable {
      if (const auto job = weak.lock(); job != nullptr && job->serial_ == serial) {
        step(*job, std::forward<decltype(args)>(args)...);
      }
    };
  }

  World& world_;
  Fleet& fleet_;
  const std::uint64_t number_;
  const Prompt prompt_;
  Random random_;
  State state_ = State::kWaiting;
  Outcome outcome_ = Outcome::kFailed;
  std::uint32_t attempts_ = 0;
  std::uint32_t waits_ = 0;
  std::uint64_t serial_ = 0;
  std::uint64_t rank_attempts_ = 0;
  std::string req_id_;
  Epoch proxy_epoch_;
  std::size_t prefiller_ = 0;
  std::size_t decoder_ = 0;
  PrefillLeg::Plan plan_;
  std::vector<std::shared_ptr<PrefillLeg>> prefill_;
  std::vector<std::shared_ptr<DecodeLeg>> decode_;
  std::uint32_t decoded_ = 0;
};

}  // namespace baton::simulation
