#include "src/transport/ucx/lanes.h"

#include <ucp/api/ucp.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

namespace baton::transport::ucx {

std::string parse_lanes(std::string_view description) {
  // One line each: "#   lane[0]:  1:rc_verbs/rxe0:1.0 md[0]   -> …"; the last ".0" is the path.
  constexpr std::string_view kLane = "lane[";
  std::vector<std::string> found;
  while (true) {
    const std::size_t lane = description.find(kLane);
    if (lane == std::string_view::npos) {
      break;
    }
    description.remove_prefix(lane + kLane.size());
    std::string_view line = description.substr(0, description.find('\n'));
    // After "0]:", blanks and the number of the resource.
    line.remove_prefix(std::min(line.find("]:") + 2, line.size()));
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    line.remove_prefix(std::min(line.find(':') + 1, line.size()));
    const std::string_view word = line.substr(0, line.find(' '));
    const std::string name(word.substr(0, word.rfind('.')));
    if (name.find('/') != std::string::npos &&
        std::find(found.begin(), found.end(), name) == found.end()) {
      found.push_back(name);
    }
  }
  std::string all;
  for (const std::string& name : found) {
    all += all.empty() ? name : "," + name;
  }
  return all.empty() ? "unknown" : all;
}

std::string lanes_of(ucp_ep_h endpoint) {
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* const stream = open_memstream(&text, &size);
  if (stream == nullptr) {
    return "unknown";
  }
  ucp_ep_print_info(endpoint, stream);
  std::fclose(stream);
  const std::unique_ptr<char, decltype(&std::free)> owner(text, &std::free);
  return parse_lanes({text, size});
}

}  // namespace baton::transport::ucx
