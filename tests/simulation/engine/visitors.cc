#include "tests/simulation/engine/visitors.h"

#include <fmt/format.h>

#include <utility>

#include "tests/simulation/engine/prompt.h"
#include "tests/simulation/world/timing.h"
#include "tests/simulation/world/world.h"

namespace baton::simulation {
namespace {

constexpr Duration kBetweenVisits = milliseconds(2);
constexpr Duration kGetTimeout = milliseconds(20);
constexpr Duration kMaxHeld = milliseconds(15);

}  // namespace

void Visitors::schedule() {
  if (!stopped_) {
    world_.clock.run_after(random_.between(Duration(1), 2 * kBetweenVisits),
                           lifetime_.guard([this] {
                             visit();
                             schedule();
                           }));
  }
}

void Visitors::visit() {
  auto& ranks = random_.pick(fleet_.decoders);
  const auto rank = static_cast<std::uint32_t>(random_.below(ranks.size()));
  ReceiverProcess& at = *ranks[rank];
  const Prompt prompt =
      make_prompt(random_, world_.profile, random_.below(world_.profile.requests));
  const std::string key = key_of(random_.pick(prompt.chunks), world_.profile.ranks, rank);
  const std::uint64_t what = random_.below(8);
  const TimePoint expiry = world_.clock.now() + random_.between(Duration(1), kMaxHeld);
  if (!at.alive()) {
    return;
  }
  at.post([this, &at, key, what, expiry] {
    if (what < 4) {
      get(at, key);
    } else if (what < 6) {
      if (at.receiver().claims().pin(key, expiry)) {
        world_.coverage.hit(Point::kPinned);
      }
    } else if (what == 6) {
      static_cast<void>(at.receiver().claims().unpin(key));
    } else if (at.receiver().remove(key).ok()) {
      world_.coverage.hit(Point::kRemoved);
    }
  });
}

void Visitors::get(ReceiverProcess& at, const std::string& key) {
  const auto call = world_.checker.calls().begin(
      at.scheduler(), fmt::format("get of {} at {}", key, at.name()), kGetTimeout);
  const Duration held = random_.between(Duration(1), kMaxHeld);
  at.receiver().claims().get(
      key, world_.clock.now() + kGetTimeout,
      [call, key, held, &world = world_, name = at.name()](StatusOr<MemoryObj> got) {
        world.checker.calls().end(call);
        if (!got.ok()) {
          return;
        }
        world.coverage.hit(Point::kGot);
        world.checker.read(name + "'s visitor", key, got->bytes());
        world.clock.run_after(held, [key, &world, name, chunk = *std::move(got)] {
          world.checker.read(name + "'s visitor", key, chunk.bytes());
        });
      });
}

}  // namespace baton::simulation
