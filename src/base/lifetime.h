// Callbacks that outlive the object they would call.
#pragma once

#include <memory>
#include <utility>

namespace baton {

/// A member of an object whose callbacks are out in queues and timers. `guard(f)` runs `f` only
/// while the Lifetime exists. Single-threaded: made, run and destroyed on one loop.
class Lifetime {
 public:
  template <typename F>
  auto guard(F callback) const {
    return [alive = std::weak_ptr<const int>(token_),
            callback = std::move(callback)](auto&&... args) mutable {
      if (!alive.expired()) {
        callback(std::forward<decltype(args)>(args)...);
      }
    };
  }

 private:
  std::shared_ptr<const int> token_ = std::make_shared<const int>(0);
};

}  // namespace baton
