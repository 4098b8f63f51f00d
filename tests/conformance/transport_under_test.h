// What a transport brings along to be put through the conformance suite.
//
// To add one: implement TransportUnderTest in tests/conformance/under_test/<name>.cc and name its
// maker in under_test/all.cc. The suite and the helper process then run on it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "src/transport/transport.h"
#include "tests/conformance/loop_driver.h"

namespace baton::conformance {

/// Where transports differ by design; everything else the suite demands of all.
struct Capabilities {
  /// The receiving side takes part in the copy and asks the guard before each piece, of reads
  /// too.
  bool guards_each_write = true;
  /// The fence of a writer that is stopped or hung stays pending until it goes on or its process
  /// ends (shm); otherwise it needs nobody's help.
  bool fence_waits_for_stopped_writer = false;
  /// A connection may end in the middle of a write without harm to the other side's process.
  bool survives_ends_in_mid_write = true;
  /// A reader may be killed in the middle of a read without harm to the process that it reads from.
  bool survives_killed_readers = true;
  /// A transport in another process can connect: the SIGKILL and SIGSTOP tests apply.
  bool crosses_processes = false;
};

/// One world of transports that can reach each other, on one loop. Every test makes its own.
///
/// Life: made; make_transport() any number of times; close() on each transport; driver().stop();
/// join() on each; transports destroyed; then this.
class TransportUnderTest {
 public:
  virtual ~TransportUnderTest() = default;

  virtual Capabilities capabilities() const = 0;
  /// The loop of all transports of this world.
  virtual LoopDriver& driver() = 0;
  /// A transport for the process incarnation `self`, nothing attached yet. On the loop.
  virtual StatusOr<std::unique_ptr<transport::Transport>> make_transport(
      const transport::PeerId& self) = 0;
  /// A ticket that is well formed for `sender`, but at whose address nobody is (any more).
  virtual std::string dead_ticket(const transport::PeerId& receiver,
                                  const transport::PeerId& sender) = 0;
  /// How many writes the receiving half of `transport` refused; where guards_each_write.
  virtual std::uint64_t rejected_writes(const transport::Transport& /*transport*/) { return 0; }
  virtual std::uint64_t rejected_reads(const transport::Transport& /*transport*/) { return 0; }
};

/// How the suite is parameterised.
struct Maker {
  std::string name;  ///< the transport's name()
  std::function<std::unique_ptr<TransportUnderTest>()> make;

  friend void PrintTo(const Maker& maker, std::ostream* out) { *out << maker.name; }
};

std::unique_ptr<TransportUnderTest> make_loopback_under_test();
std::unique_ptr<TransportUnderTest> make_tcp_under_test();
std::unique_ptr<TransportUnderTest> make_shm_under_test();
std::unique_ptr<TransportUnderTest> make_ucx_under_test();
/// Only where Baton is built with NIXL.
std::unique_ptr<TransportUnderTest> make_nixl_under_test();

/// All of the above that there are.
std::vector<Maker> transports_under_test();

}  // namespace baton::conformance
