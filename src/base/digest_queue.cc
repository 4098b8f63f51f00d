#include "src/base/digest_queue.h"

#include <algorithm>
#include <utility>

namespace baton {

void DigestQueue::add(std::span<const std::byte> bytes, Done done) {
  jobs_.push_back({bytes, DigestStream(), std::move(done)});
  schedule();
}

void DigestQueue::schedule() {
  if (!scheduled_ && !jobs_.empty()) {
    scheduled_ = true;
    scheduler_.post(lifetime_.guard([this] { run_slice(); }));
  }
}

void DigestQueue::run_slice() {
  scheduled_ = false;
  std::size_t budget = kSliceBytes;
  while (!jobs_.empty() && budget > 0) {
    Job& job = jobs_.front();
    const std::size_t count = std::min(budget, job.left.size());
    job.stream.update(job.left.first(count));
    job.left = job.left.subspan(count);
    budget -= count;
    if (job.left.empty()) {
      Job finished = std::move(job);
      jobs_.pop_front();
      finished.done(finished.stream.value());
    }
  }
  schedule();
}

}  // namespace baton
