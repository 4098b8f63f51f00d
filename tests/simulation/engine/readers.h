// Prefillers that read what decoders have.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "src/base/lifetime.h"
#include "tests/simulation/engine/fleet.h"

namespace baton::simulation {

class Readers {
 public:
  Readers(World& world, Fleet& fleet, Random random)
      : world_(world), fleet_(fleet), random_(random) {}

  void start() { schedule(); }
  void stop() { stopped_ = true; }

 private:
  struct Batch;

  void schedule();
  void read();
  static void submit(World& world, SenderProcess& reader, const sender::Address& from,
                     const std::shared_ptr<Batch>& batch);
  static void on_key_done(World& world, const std::shared_ptr<Batch>& batch, const std::string& key,
                          const Status& status);
  static void on_ended(World& world, const std::shared_ptr<Batch>& batch);
  static void look(World& world, const Batch& batch);

  World& world_;
  Fleet& fleet_;
  Random random_;
  bool stopped_ = false;
  std::uint64_t reads_ = 0;
  Lifetime lifetime_;
};

}  // namespace baton::simulation
