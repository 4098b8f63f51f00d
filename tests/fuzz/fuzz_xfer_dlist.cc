// The pickle of a peer's pages. What is accepted is exactly what is encoded again, in one of the
// forms that are read. And which of these are a peer's pages.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "src/wire/xfer_dlist.h"
#include "tests/fuzz/require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using baton::fuzz::require;
  constexpr std::size_t kMaxDescriptors = 8;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto list = baton::wire::decode_xfer_dlist(bytes, kMaxDescriptors);
  if (!list.ok()) {
    require(list.status().message().size() < 1024, "an error that fits a log line");
    return 0;
  }
  require(!list->descriptors.empty() && list->descriptors.size() <= kMaxDescriptors,
          "no more pages than the limit");
  const std::uint64_t page_bytes = list->descriptors.front().length_bytes;
  if (baton::wire::check_pages(*list, page_bytes).ok()) {
    for (const auto& one : list->descriptors) {
      require(one.length_bytes == page_bytes && one.address <= UINT64_MAX - page_bytes,
              "a page that is as long as the others, and ends");
      for (const auto& other : list->descriptors) {
        require(&one == &other || one.device != other.device ||
                    one.address >= other.address + page_bytes ||
                    other.address >= one.address + page_bytes,
                "no two pages that overlap");
      }
    }
  }
  const std::string again = baton::wire::encode_xfer_dlist(*list);
  require(*baton::wire::decode_xfer_dlist(again, kMaxDescriptors) == *list, "it comes back");
  if (bytes.size() == again.size() && bytes[1] == again[1]) {
    require(bytes == again, "one form only");
  }
  return 0;
}
