#include "tests/simulation/engine/fleet.h"

#include <fmt/format.h>

#include "tests/simulation/world/world.h"

namespace baton::simulation {

Fleet::Fleet(World& world) {
  const auto grow = [&](auto& groups, std::vector<std::string>& names, std::uint32_t count,
                        char letter) {
    using Made = typename std::decay_t<decltype(groups.front().front())>::element_type;
    for (std::uint32_t i = 0; i < count; ++i) {
      names.push_back(fmt::format("{}{}", letter, i));
      auto& ranks = groups.emplace_back();
      for (std::uint32_t rank = 0; rank < world.profile.ranks; ++rank) {
        ranks.push_back(
            std::make_unique<Made>(world, fmt::format("{}.{}", names.back(), rank), i, rank));
        all_.push_back(ranks.back().get());
      }
    }
  };
  std::vector<std::string> prefiller_names;
  std::vector<std::string> decoder_names;
  grow(prefillers, prefiller_names, world.profile.prefillers, 'p');
  grow(decoders, decoder_names, world.profile.decoders, 'd');
  proxy = std::make_unique<ProxyProcess>(world, prefiller_names, decoder_names);
  all_.push_back(proxy.get());
}

void Fleet::start_all() {
  for (Process* process : all_) {
    if (!process->alive()) {
      process->start();
    }
  }
}

}  // namespace baton::simulation
