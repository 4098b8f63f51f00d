// The first broken promise of a run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "tests/simulation/world/history.h"

namespace baton::simulation {

/// As docs/architecture.md numbers them.
enum class Promise : std::uint8_t { kP1 = 1, kP2, kP3, kP4, kP5, kP6, kP7 };

struct Violation {
  Promise promise;
  std::string what;
};

class Verdict {
 public:
  explicit Verdict(History& history) : history_(history) {}

  /// Only the first counts: what follows a broken promise proves nothing.
  void broken(Promise promise, std::string what) {
    if (!violation_.has_value()) {
      history_.note("", "VIOLATION of P{}: {}", static_cast<int>(promise), what);
      violation_ = Violation{promise, std::move(what)};
    }
  }
  const std::optional<Violation>& violation() const { return violation_; }

 private:
  History& history_;
  std::optional<Violation> violation_;
};

}  // namespace baton::simulation
