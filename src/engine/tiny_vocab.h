// The vocabulary of the tiny model: what SentencePiece models call byte fallback, and syllables.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace baton::engine {

inline constexpr std::uint32_t kTinyVocabSize = 512;
inline constexpr std::uint32_t kTinyUnknownToken = 0;
inline constexpr std::uint32_t kTinyBeginToken = 1;
inline constexpr std::uint32_t kTinyEndToken = 2;

/// GGUF's numbers (tokenizer.ggml.token_type).
enum class TinyVocabKind : std::int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kByte = 6 };

struct TinyVocabEntry {
  std::string text;
  float score = 0.0F;
  TinyVocabKind kind = TinyVocabKind::kNormal;
};

/// kTinyVocabSize entries: three special tokens, 256 bytes, a space, and 252 syllables, the second
/// half of which begin with a space. Any text can be tokenized.
std::vector<TinyVocabEntry> tiny_vocab();

}  // namespace baton::engine
