// One attempt of one request at one rank of a prefiller: the engine's part of the work.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/engine/prompt.h"
#include "tests/simulation/world/processes.h"
#include "tests/simulation/world/world.h"

namespace baton::simulation {

/// Opens the request (mostly), computes chunk by chunk, puts them in one or several batches, and
/// tells once how that ended. Dropping it leaves the sender's logic to itself.
class PrefillLeg : public std::enable_shared_from_this<PrefillLeg> {
 public:
  struct Plan {
    std::string req_id;
    std::uint64_t attempt = 0;
    Prompt prompt;
    std::uint32_t rank = 0;
    bool opens = true;      ///< else the first put does
    bool counted = false;   ///< opened by its number of chunks, not by their keys
    bool abandons = false;  ///< closed before the last put
    bool in_place = false;  ///< computed in pages ahead, as far as there are some
    std::uint32_t chunks_per_put = 1;
  };
  using Ended = absl::AnyInvocable<void(Status)>;

  PrefillLeg(World& world, SenderProcess& process, const sender::Address& receiver, Plan plan,
             Random random, Ended ended);

  void start();
  /// Its process is gone: nothing more comes, and `ended` is not called.
  void forget();

  SenderProcess& process() const { return process_; }
  Checker::AttemptName name() const { return {epoch_, plan_.req_id, plan_.attempt}; }
  bool running() const { return ended_ != nullptr; }

 private:
  struct Batch {
    std::size_t keys = 0;
    std::size_t told = 0;
    Status status;
    CallWatch::CallId call = 0;
    std::shared_ptr<detail::PutState> state;
  };

  void open();
  void on_opened(StatusOr<std::shared_ptr<StagingReservation>> opened);
  void compute_next();
  void put_next();
  StatusOr<std::vector<MemoryObj>> stage(std::size_t first, std::size_t count);
  /// Of chunks that lie in the decoder's pages.
  void write_in_place(std::size_t first, std::vector<MemoryObj>& objects);
  void on_key_done(const std::shared_ptr<Batch>& batch, const Status& status);
  void on_put_done(const std::shared_ptr<Batch>& batch);
  void abandon();
  void finish(const Status& status);
  /// Runs as a turn of the process, if both are still there.
  void post(void (PrefillLeg::*step)());

  World& world_;
  SenderProcess& process_;
  const Epoch epoch_;
  const sender::Address receiver_;
  const Plan plan_;
  const std::vector<std::string> keys_;
  Random random_;
  Ended ended_;
  std::shared_ptr<StagingReservation> reservation_;
  /// Computed in place, not put yet: taken before the computing begins.
  StatusOr<std::vector<MemoryObj>> staged_ = std::vector<MemoryObj>();
  std::vector<std::optional<Checker::PlaceName>> places_;  // of staged_
  std::size_t next_chunk_ = 0;
  std::size_t puts_out_ = 0;
};

}  // namespace baton::simulation
