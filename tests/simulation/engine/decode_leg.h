// One request at one rank of a decoder: claims its chunks and reads them, slowly.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "baton/claim.h"
#include "tests/simulation/world/processes.h"
#include "tests/simulation/world/world.h"

namespace baton::simulation {

class DecodeLeg : public std::enable_shared_from_this<DecodeLeg> {
 public:
  using Ended = absl::AnyInvocable<void(Status)>;

  DecodeLeg(World& world, ReceiverProcess& process, std::string req_id,
            std::vector<std::string> keys, Random random, Ended ended);

  void start();
  /// Its process is gone, or nobody wants to know any more.
  void forget();
  ReceiverProcess& process() const { return process_; }
  bool running() const { return ended_ != nullptr; }

 private:
  void claim();
  void on_claimed(StatusOr<Claim> claim);
  void read_next();
  void look(std::size_t index);
  void finish(const Status& status);

  World& world_;
  ReceiverProcess& process_;
  const Epoch epoch_;
  const std::string req_id_;
  const std::vector<std::string> keys_;
  Random random_;
  Ended ended_;
  std::optional<Claim> claim_;
  std::size_t read_ = 0;
};

}  // namespace baton::simulation
