#include "tests/support/two_hosts.h"

#include <fmt/format.h>
#include <sched.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <iostream>

namespace baton::testing {
namespace {

struct Outcome {
  bool ok = false;
  std::string output;
};

Outcome run(const std::string& command) {
  Outcome outcome;
  std::FILE* pipe = popen((command + " 2>&1").c_str(), "re");
  if (pipe == nullptr) {
    return outcome;
  }
  std::array<char, 256> piece{};
  while (std::fgets(piece.data(), piece.size(), pipe) != nullptr) {
    outcome.output += piece.data();
  }
  outcome.ok = pclose(pipe) == 0;
  return outcome;
}

void run_in(pid_t host, const std::string& command) {
  const std::string all = fmt::format("nsenter --net=/proc/{}/ns/net {}", host, command);
  if (const Outcome outcome = run(all); !outcome.ok) {
    std::cerr << "test set-up failed: " << all << ": " << outcome.output << '\n';
    std::abort();
  }
}

}  // namespace

std::optional<std::string> why_no_hosts() {
  for (const char* command : {"ip link add baton0 type veth peer name baton1",
                              "nft 'add table inet baton; add chain inet baton in { type filter "
                              "hook input priority 0; }; add rule inet baton in drop'"}) {
    if (const Outcome tried = run(fmt::format("unshare --net {}", command)); !tried.ok) {
      return fmt::format(
          "hosts are network namespaces joined by veth, with a packet filter (CAP_SYS_ADMIN and "
          "CAP_NET_ADMIN, iproute2, nftables); here '{}' says: {}",
          command, tried.output);
    }
  }
  return std::nullopt;
}

void become_host() {
  if (unshare(CLONE_NEWNET) != 0) {
    std::perror("test set-up failed: unshare");
    std::abort();
  }
}

TwoHosts::TwoHosts(pid_t first, pid_t second) : first_(first), second_(second) {
  run_in(first, fmt::format("ip link add baton0 type veth peer name baton0 netns {}", second));
  for (const auto& [host, address] : {std::pair(first, kFirstAddress), {second, kSecondAddress}}) {
    run_in(host, fmt::format("ip address add {}/24 dev baton0", address));
    run_in(host, "ip link set baton0 up");
    run_in(host, "ip link set lo up");
  }
}

void TwoHosts::cut() const {
  run_in(first_, "ip link set baton0 down");
}

void TwoHosts::mend() const {
  run_in(first_, "ip link set baton0 up");
}

void TwoHosts::deafen(pid_t host, const std::string& match) {
  run_in(host, fmt::format("nft 'add table inet baton; add chain inet baton in {{ type filter hook "
                           "input priority 0; }}; add rule inet baton in iifname baton0 {} drop'",
                           match));
}

void TwoHosts::let_hear(pid_t host) {
  run_in(host, "nft delete table inet baton");
}

}  // namespace baton::testing
