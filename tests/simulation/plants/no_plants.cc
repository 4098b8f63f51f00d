#include "tests/simulation/plants/planted.h"

namespace baton::simulation {

std::span<const Plant> all_plants() {
  return {};
}

}  // namespace baton::simulation
