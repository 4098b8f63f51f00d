#include "src/transport/ucx/offer.h"

#include <algorithm>
#include <set>

namespace baton::transport::ucx {
namespace {

constexpr std::string_view kVersion = "ucx1";
constexpr std::size_t kMaxOfferBytes = 1024;
constexpr std::size_t kSubnetPrefixDigits = 19;  // "fe80:0000:0000:0000"

std::string fabric_of(const RdmaPort& port) {
  if (port.link_layer != "InfiniBand") {
    return "roce";
  }
  const std::string prefix =
      port.gids.empty() ? "" : port.gids.front().value.substr(0, kSubnetPrefixDigits);
  return "ib:" + prefix;
}

std::set<std::string_view> words_of(std::string_view text) {
  std::set<std::string_view> words;
  while (!text.empty()) {
    const std::size_t blank = std::min(text.find(' '), text.size());
    words.insert(text.substr(0, blank));
    text.remove_prefix(std::min(blank + 1, text.size()));
  }
  return words;
}

}  // namespace

std::string make_offer(std::span<const RdmaDevice> devices, bool tcp_too) {
  std::set<std::string> fabrics;
  for (const RdmaDevice& device : devices) {
    for (const RdmaPort& port : device.ports) {
      if (port.is_active() && has_reliable_verbs(device, port)) {
        fabrics.insert(fabric_of(port));
      }
    }
  }
  if (tcp_too) {
    fabrics.insert("tcp");
  }
  std::string offer(kVersion);
  for (const std::string& fabric : fabrics) {
    offer += " " + fabric;
  }
  return offer;
}

bool offers_meet(std::string_view ours, std::string_view theirs) {
  // Of another version, "ucx10" say, are also those that name this one further behind.
  if (theirs.size() > kMaxOfferBytes || theirs.substr(0, theirs.find(' ')) != kVersion) {
    return false;
  }
  auto own = words_of(ours);
  own.erase(kVersion);
  const auto other = words_of(theirs);
  return std::any_of(own.begin(), own.end(), [&](auto fabric) { return other.contains(fabric); });
}

}  // namespace baton::transport::ucx
