// When a sender may tell the proxy (P2).
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "src/base/epoch.h"
#include "src/base/scheduler.h"

namespace baton::simulation {

/// One attempt of a request at one rank, as its engine submitted it.
struct AttemptSeen {
  std::uint64_t attempt = 0;
  std::set<std::string> keys;
  std::set<Epoch> receivers;  ///< incarnations that its puts were addressed to
  TimePoint begun{};
  bool sealed = false;
  bool failed = false;
  bool notified = false;
  bool failure_told = false;
  /// Something that ends requests at receivers has befallen it: what was committed may be gone.
  bool disturbed = false;
};

/// Which attempt a ProxyNotif can only mean.
class NoticeModel {
 public:
  AttemptSeen& attempt(const Epoch& sender, const std::string& req_id, std::uint64_t attempt);
  /// nullptr if none is waiting for its word.
  AttemptSeen* notified(const Epoch& sender, const std::string& req_id);
  /// All attempts of `sender`, or of everybody for a receiver, were disturbed.
  void disturb(const Epoch& sender, const Epoch& receiver);
  void disturb_request(const std::string& req_id);

 private:
  struct Name {
    Epoch sender;
    std::string req_id;
    auto operator<=>(const Name&) const = default;
  };
  std::map<Name, std::vector<AttemptSeen>> requests_;
};

}  // namespace baton::simulation
