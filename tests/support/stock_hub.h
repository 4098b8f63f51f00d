// NIXL's stand-in inside one scheduler: agents that know each other's metadata and write into each
// other's memory, gradually, and a StockPlane made of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/scheduler.h"
#include "src/memory/registered_buffer.h"
#include "src/transport/stock_plane.h"

namespace baton::testing {

/// The data network. Outlives its agents' users. On the loop only.
class StockHub {
 public:
  explicit StockHub(Scheduler& scheduler, std::size_t piece_bytes = 48)
      : scheduler_(scheduler), piece_bytes_(piece_bytes) {}

  /// One range of local memory, and where it goes (or comes from) in the peer's.
  struct Op {
    std::span<std::byte> local;
    std::uint64_t address = 0;
  };

  /// Registers the memory; returns the new agent's name.
  std::string make_agent(std::span<std::byte> memory);
  std::string metadata_of(const std::string& agent) const;
  /// Whose metadata these are.
  StatusOr<std::string> name_in(std::string_view metadata) const;
  /// `agent` may write to the one whose metadata these are; returns that one's name.
  StatusOr<std::string> load(const std::string& agent, std::string_view metadata);
  /// `address` … lies in what `agent` has registered.
  bool registered(const std::string& agent, std::uint64_t address, std::uint64_t length) const;

  /// Needs load() in both directions, as LMCache does it. kUnavailable once either agent is gone;
  /// what has landed by then stays.
  void write(const std::string& from, const std::string& to, std::vector<Op> ops,
             transport::Done done);
  void read(const std::string& from, const std::string& to, std::vector<Op> ops,
            transport::Done done);

  /// Nothing moves to or from it any more; what is under way fails with `why`.
  void destroy(const std::string& agent);
  std::size_t agents() const { return agents_.size(); }

  /// While set, nothing moves.
  void set_paused(bool paused);

 private:
  struct Agent {
    std::span<std::byte> memory;
    std::set<std::string> loaded;
  };
  struct Batch {
    std::string from;
    std::string to;
    std::vector<Op> ops;
    bool reading = false;
    transport::Done done;
    std::size_t op = 0;
    std::size_t offset = 0;
  };

  void start(std::shared_ptr<Batch> batch);
  void step(const std::shared_ptr<Batch>& batch);

  Scheduler& scheduler_;
  const std::size_t piece_bytes_;
  std::map<std::string, Agent> agents_;
  std::uint64_t last_agent_ = 0;
  bool paused_ = false;
  std::vector<std::shared_ptr<Batch>> waiting_;  // while paused
};

/// Really moves bytes between its buffer and agents of the hub. Its fence: the agent is gone.
class HubPlane final : public transport::StockPlane {
 public:
  HubPlane(StockHub& hub, Scheduler& scheduler, RegisteredBuffer& buffer)
      : hub_(hub), scheduler_(scheduler), buffer_(buffer) {}
  ~HubPlane() override { close(); }

  StatusOr<std::string> check(std::string_view metadata) const override;
  StatusOr<Door> open_door() override;
  StatusOr<std::string> introduce(transport::StockPeerId peer, std::string_view metadata) override;
  Status set_pages(transport::StockPeerId peer, transport::PageMemory memory,
                   const std::vector<transport::PageAddress>& pages) override;
  void write_batch(transport::StockPeerId peer, std::vector<transport::WriteOp> ops,
                   transport::Done done) override;
  void read_batch(transport::StockPeerId peer, std::vector<transport::ReadOp> ops,
                  transport::Done done) override;
  void revoke(transport::StockPeerId peer, Task fenced) override;
  void close() override;

  std::size_t doors() const { return doors_.size(); }
  /// How many agents were ever made.
  std::uint64_t opened() const { return last_; }
  std::size_t writes() const { return writes_; }

 private:
  struct Open {
    std::string agent;
    std::string peer_agent;
    std::vector<transport::PageAddress> pages;
  };
  template <typename Ops>
  StatusOr<std::vector<StockHub::Op>> to_ops(const Open& door, const Ops& ops) const;

  StockHub& hub_;
  Scheduler& scheduler_;
  RegisteredBuffer& buffer_;
  std::map<transport::StockPeerId, Open> doors_;
  transport::StockPeerId last_ = 0;
  std::size_t writes_ = 0;
  bool closed_ = false;
};

}  // namespace baton::testing
