#include "src/engine/tiny_vocab.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

namespace baton::engine {
namespace {

constexpr std::string_view kSpace = "\xe2\x96\x81";  // U+2581, SentencePiece's space
constexpr std::string_view kVowels = "aeiouy";
constexpr std::array<std::string_view, 21> kOnsets = {"",  "b", "c", "d", "f", "g", "h",
                                                      "j", "k", "l", "m", "n", "p", "q",
                                                      "r", "s", "t", "v", "w", "x", "z"};
static_assert(3 + 256 + 1 + 2 * kOnsets.size() * kVowels.size() == kTinyVocabSize);

}  // namespace

std::vector<TinyVocabEntry> tiny_vocab() {
  std::vector<TinyVocabEntry> vocab;
  vocab.reserve(kTinyVocabSize);
  vocab.push_back({"<unk>", 0.0F, TinyVocabKind::kUnknown});
  vocab.push_back({"<s>", 0.0F, TinyVocabKind::kControl});
  vocab.push_back({"</s>", 0.0F, TinyVocabKind::kControl});
  for (int byte = 0; byte < 256; ++byte) {
    vocab.push_back({fmt::format("<0x{:02X}>", byte), 0.0F, TinyVocabKind::kByte});
  }
  vocab.push_back({std::string(kSpace), 0.0F, TinyVocabKind::kNormal});
  for (const std::string_view space : {std::string_view(), kSpace}) {
    for (const std::string_view onset : kOnsets) {
      for (const char vowel : kVowels) {
        // Higher scores merge first; any distinct ones will do.
        const float score = -static_cast<float>(vocab.size());
        vocab.push_back(
            {fmt::format("{}{}{}", space, onset, vowel), score, TinyVocabKind::kNormal});
      }
    }
  }
  return vocab;
}

}  // namespace baton::engine
