// Known ways to break the logic: the copies of its sources that baton-sim-plants is made of ask
// planted() in the broken places. plants.cmake says where and how.
#pragma once

#include <span>
#include <string_view>

namespace baton::simulation {

struct Plant {
  std::string_view name;
  std::string_view promise;  ///< that it breaks, "P1" … "P7"
  std::string_view what;
};

/// Empty in baton-sim.
std::span<const Plant> all_plants();
bool is_plant(std::string_view name);
/// Of all_plants(); from now on. Empty: none.
void plant(std::string_view name);
bool planted(std::string_view name);

}  // namespace baton::simulation
