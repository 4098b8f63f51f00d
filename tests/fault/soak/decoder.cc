// A decoder of the soak: claims what the proxy released, and compares every byte.
#include <utility>

#include "tests/fault/soak/backend_worker.h"

namespace baton::soak {
namespace {

Message compare(const RequestPlan& plan, std::uint32_t rank, const StatusOr<Claim>& claim,
                Message answer) {
  answer.word = Word::kClaimed;
  answer.set_status(claim.status());
  for (std::size_t i = 0; claim.ok() && i < plan.chunks.size(); ++i) {
    if (!testing::holds(claim->chunks()[i], byte_seed(plan.chunks[i], rank))) {
      ++answer.count;
    }
  }
  return answer;
}

}  // namespace

int run_decoder(const Fleet& fleet, const Place& place, const Channel& driver) {
  const auto backend = start_backend(fleet, place);
  if (backend == nullptr || !driver.send({})) {
    return 1;
  }
  while (const auto message = driver.receive()) {
    const RequestPlan plan = plan_request(fleet.options().seed, message->round, message->number);
    if (message->word == Word::kClaim) {
      // Compared on the progress thread: a moment's work, and an engine would be as rude.
      backend->claim_async(
          plan.req_id, chunk_keys(plan, fleet.options().ranks, place.rank), std::nullopt,
          [&driver, plan, place, message = *message](const StatusOr<Claim>& claim) {
            driver.send(compare(plan, place.rank, claim, message));
          });
    } else if (message->word == Word::kCancel) {
      static_cast<void>(backend->cancel_request(plan.req_id));
    } else {
      driver.send(settle(fleet, *backend));
    }
  }
  return 0;
}

}  // namespace baton::soak
