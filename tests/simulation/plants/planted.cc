#include "tests/simulation/plants/planted.h"

#include <algorithm>
#include <string>

namespace baton::simulation {
namespace {

std::string& active() {
  static std::string name;
  return name;
}

}  // namespace

bool is_plant(std::string_view name) {
  return std::ranges::any_of(all_plants(), [&](const Plant& plant) { return plant.name == name; });
}

void plant(std::string_view name) {
  active() = name;
}

bool planted(std::string_view name) {
  return active() == name;
}

}  // namespace baton::simulation
