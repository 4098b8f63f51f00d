#include "src/transport/tcp/batch_ledger.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace baton::transport::tcp {

void BatchLedger::add(Sequences parts, Status verdict, Done done) {
  batches_.push_back(
      {.parts = std::move(parts), .verdict = std::move(verdict), .done = std::move(done)});
}

std::vector<BatchLedger::Finished> BatchLedger::take_finished(const Sequences& acknowledged) {
  std::vector<Finished> finished;
  while (!batches_.empty() &&
         std::equal(batches_.front().parts.begin(), batches_.front().parts.end(),
                    acknowledged.begin(), std::less_equal<>())) {
    Batch& batch = batches_.front();
    finished.push_back({std::move(batch.done), std::move(batch.verdict)});
    batches_.pop_front();
  }
  return finished;
}

std::vector<BatchLedger::Finished> BatchLedger::abandon(const Status& why) {
  std::vector<Finished> left;
  for (Batch& batch : std::exchange(batches_, {})) {
    left.push_back({std::move(batch.done), batch.verdict.ok() ? why : batch.verdict});
  }
  return left;
}

}  // namespace baton::transport::tcp
