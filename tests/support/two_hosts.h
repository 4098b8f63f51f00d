// Two hosts and a cable: network namespaces of two processes, joined by a veth pair.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace baton::testing {

/// Why this machine can't have them (rights, kernel, commands), or nothing.
std::optional<std::string> why_no_hosts();

/// Moves this process, while it has one thread, to a host of its own. It ends with its processes,
/// and everything in it.
void become_host();

/// Lays the cable between two processes that have become hosts. For a driver with one thread: it
/// runs commands (iproute2, nftables). Dies, saying why, if one fails.
class TwoHosts {
 public:
  static constexpr const char* kFirstAddress = "10.77.0.1";
  static constexpr const char* kSecondAddress = "10.77.0.2";

  TwoHosts(pid_t first, pid_t second);

  /// The cable, at the first host's end.
  void cut() const;
  void mend() const;

  /// What comes in at a host is lost: all of it, or what an nftables expression matches.
  void deafen_first(const std::string& match = "") const { deafen(first_, match); }
  void deafen_second(const std::string& match = "") const { deafen(second_, match); }
  void let_first_hear() const { let_hear(first_); }
  void let_second_hear() const { let_hear(second_); }

 private:
  static void deafen(pid_t host, const std::string& match);
  static void let_hear(pid_t host);

  pid_t first_;
  pid_t second_;
};

}  // namespace baton::testing
