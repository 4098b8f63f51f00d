#include "src/proxy/least_loaded.h"

namespace baton::proxy {

std::size_t LeastLoaded::pick() {
  std::size_t best = next_;
  for (std::size_t step = 1; step < loads_.size(); ++step) {
    const std::size_t index = (next_ + step) % loads_.size();
    if (loads_[index] < loads_[best]) {
      best = index;
    }
  }
  next_ = (best + 1) % loads_.size();
  return best;
}

}  // namespace baton::proxy
