#include "src/wire/xfer_dlist.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <concepts>
#include <limits>
#include <optional>
#include <tuple>

namespace baton::wire {
namespace {

using namespace std::string_view_literals;  // NOLINT(google-build-using-namespace)

// Python's pickle opcodes, those that occur.
constexpr std::string_view kProto = "\x80"sv;
constexpr std::string_view kFrame = "\x95"sv;
constexpr std::string_view kShortText = "\x8c"sv;
constexpr std::string_view kMemoize = "\x94"sv;
/// The class by its names, a new object of it without arguments, each remembered.
constexpr std::string_view kNewObject = "\x93\x94)\x81\x94"sv;
constexpr std::string_view kShortBytes = "C"sv;
constexpr std::string_view kBytes = "B"sv;
/// The state is remembered, given to the object, and that was all.
constexpr std::string_view kTail =
    "\x94"
    "b."sv;

constexpr std::string_view kClass = "nixlXferDList"sv;
/// The first is what everybody can import; the wheels alias it.
constexpr std::array kModules = {"nixl._bindings"sv, "nixl_cu12._bindings"sv,
                                 "nixl_cu13._bindings"sv};
constexpr std::uint8_t kDefaultProtocol = 4;
constexpr std::array<std::uint8_t, 2> kProtocols = {kDefaultProtocol, 5};

/// From this size on CPython leaves a bytes object outside its frames.
constexpr std::size_t kUnframedBytes = 64U << 10U;
constexpr std::size_t kDescriptorBytes = 24;
constexpr std::size_t kMaxStateBytes = 0xffff'ffffU;

struct Form {
  std::uint8_t protocol = kDefaultProtocol;
  std::string_view module = kModules[0];
};

template <std::unsigned_integral T>
void append(std::string& to, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    to.push_back(static_cast<char>(static_cast<std::uint8_t>(value >> (8 * i))));
  }
}

std::uint64_t load(std::string_view bytes, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(value); ++i) {
    value |= std::uint64_t{static_cast<std::uint8_t>(bytes[at + i])} << (8 * i);
  }
  return value;
}

/// One entry of nixlSerDes: tag, length, then its bytes and a bar, which follow.
void append_entry(std::string& to, std::string_view tag, std::uint64_t length) {
  to += tag;
  append(to, length);
}

/// NIXL's serialisation up to the first descriptor's bytes; a bar ends it after the last.
std::string state_head(XferDlist::Memory memory, std::uint64_t count) {
  constexpr std::string_view kKind = "nixlBDList";
  std::string head = "nixlSerDes|";
  append_entry(head, "nixlDList", kKind.size());
  head += kKind;
  head += '|';
  append_entry(head, "t", sizeof(std::uint32_t));
  append(head, static_cast<std::uint32_t>(memory));
  head += '|';
  append_entry(head, "n", sizeof(std::uint64_t));
  append(head, count);
  head += '|';
  append_entry(head, "", count * kDescriptorBytes);
  return head;
}

void append_text(std::string& to, std::string_view text) {
  to += kShortText;
  to.push_back(static_cast<char>(text.size()));
  to += text;
  to += kMemoize;
}

/// All of the pickle before the first descriptor's bytes.
std::string pickle_head(const Form& form, XferDlist::Memory memory, std::uint64_t count) {
  const std::string state = state_head(memory, count);
  const std::size_t state_bytes = state.size() + count * kDescriptorBytes + 1;
  std::string object;
  append_text(object, form.module);
  append_text(object, kClass);
  object += kNewObject;
  std::string length(state_bytes < 256 ? kShortBytes : kBytes);
  if (state_bytes < 256) {
    length.push_back(static_cast<char>(state_bytes));
  } else {
    append(length, static_cast<std::uint32_t>(state_bytes));
  }
  // What follows an unframed object here is too short for a frame of its own.
  const std::size_t frame =
      object.size() +
      (state_bytes < kUnframedBytes ? length.size() + state_bytes + kTail.size() : 0);
  std::string head(kProto);
  head.push_back(static_cast<char>(form.protocol));
  head += kFrame;
  append(head, std::uint64_t{frame});
  return head + object + length + state;
}

constexpr std::string_view kEnd =
    "|\x94"
    "b."sv;

Status invalid(const std::string& message) {
  return absl::InvalidArgumentError(message);
}

/// How many descriptors a pickle of that size has; nullopt if none can have it.
std::optional<std::uint64_t> count_of(std::size_t pickle_bytes, const Form& form) {
  // Heads differ in size only by the length of the state, which has one byte or four.
  for (const std::uint64_t sample : {std::uint64_t{1}, std::uint64_t{100}}) {
    const std::size_t head = pickle_head(form, XferDlist::Memory::kDram, sample).size();
    if (pickle_bytes < head + kEnd.size()) {
      continue;
    }
    const std::size_t rest = pickle_bytes - head - kEnd.size();
    const std::uint64_t count = rest / kDescriptorBytes;
    if (rest % kDescriptorBytes == 0 && count > 0 && rest < kMaxStateBytes / 2 &&
        pickle_head(form, XferDlist::Memory::kDram, count).size() == head) {
      return count;
    }
  }
  return std::nullopt;
}

}  // namespace

std::string encode_xfer_dlist(const XferDlist& list) {
  std::string bytes = pickle_head({}, list.memory, list.descriptors.size());
  bytes.reserve(bytes.size() + list.descriptors.size() * kDescriptorBytes + kEnd.size());
  for (const XferDescriptor& descriptor : list.descriptors) {
    append(bytes, descriptor.address);
    append(bytes, descriptor.length_bytes);
    append(bytes, descriptor.device);
  }
  bytes += kEnd;
  return bytes;
}

StatusOr<XferDlist> decode_xfer_dlist(std::string_view bytes, std::size_t max_descriptors) {
  for (const std::uint8_t protocol : kProtocols) {
    for (const std::string_view module : kModules) {
      const Form form{protocol, module};
      const auto count = count_of(bytes.size(), form);
      if (!count.has_value() || !bytes.ends_with(kEnd)) {
        continue;
      }
      for (const auto memory : {XferDlist::Memory::kDram, XferDlist::Memory::kVram}) {
        const std::string head = pickle_head(form, memory, *count);
        if (!bytes.starts_with(head)) {
          continue;
        }
        if (*count > max_descriptors) {
          return invalid(
              fmt::format("a list of {} pages; the limit is {}", *count, max_descriptors));
        }
        XferDlist list;
        list.memory = memory;
        list.descriptors.reserve(*count);
        for (std::size_t at = head.size(); at + kEnd.size() < bytes.size();
             at += kDescriptorBytes) {
          list.descriptors.push_back({load(bytes, at), load(bytes, at + 8), load(bytes, at + 16)});
        }
        return list;
      }
    }
  }
  return invalid(
      fmt::format("{} bytes that are not the pickle of a nixlXferDList with pages in "
                  "DRAM or VRAM",
                  bytes.size()));
}

Status check_pages(const XferDlist& list, std::uint64_t page_bytes) {
  std::vector<XferDescriptor> pages = list.descriptors;
  for (std::size_t i = 0; i < pages.size(); ++i) {
    if (pages[i].length_bytes != page_bytes) {
      return invalid(
          fmt::format("page {} has {} bytes, a chunk has {}: the two sides must have the "
                      "same model, dtype and chunk_size",
                      i, pages[i].length_bytes, page_bytes));
    }
    if (pages[i].address > std::numeric_limits<std::uint64_t>::max() - page_bytes) {
      return invalid(fmt::format("page {} at {:#x} reaches beyond 2^64", i, pages[i].address));
    }
  }
  std::sort(pages.begin(), pages.end(), [](const XferDescriptor& a, const XferDescriptor& b) {
    return std::tie(a.device, a.address) < std::tie(b.device, b.address);
  });
  for (std::size_t i = 1; i < pages.size(); ++i) {
    if (pages[i].device == pages[i - 1].device &&
        pages[i].address < pages[i - 1].address + page_bytes) {
      return invalid(
          fmt::format("pages overlap at {:#x} of device {}", pages[i].address, pages[i].device));
    }
  }
  return absl::OkStatus();
}

}  // namespace baton::wire
