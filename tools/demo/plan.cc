#include "tools/demo/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace baton::demo {
namespace {

constexpr std::uint32_t kSharedTokens = 1024;
constexpr std::uint32_t kSecondTurnTokens = 90;

/// One conversation: a request, and perhaps a second turn.
struct Shape {
  std::uint32_t tokens;
  bool shares_prefix;
  bool second_turn;
  std::uint32_t rank;  ///< those with the lowest come into a short plan
};

/// In the order of dispatch: long ones next to each other, so that admission has to wait; those
/// with the shared prefix close together, so that it is found again before it is evicted.
constexpr std::array kShapes = {
    Shape{500, false, true, 0},  Shape{1, false, false, 3},     Shape{2100, false, false, 4},
    Shape{17, false, false, 6},  Shape{1124, true, false, 1},   Shape{1324, true, false, 2},
    Shape{64, false, false, 7},  Shape{2049, false, false, 11}, Shape{1061, true, true, 8},
    Shape{128, false, false, 9}, Shape{777, false, false, 10},  Shape{1500, false, false, 5},
    Shape{63, false, false, 12}, Shape{129, false, false, 13},  Shape{1000, false, true, 14},
};

/// Conversations with `requests` requests in all: the shapes round and round, the last round cut by
/// rank, the last second turn left out if it is one too many.
std::vector<Shape> choose_shapes(std::uint32_t requests) {
  std::vector<Shape> chosen;
  std::uint32_t left = requests;
  while (left > 0) {
    std::array<Shape, kShapes.size()> by_rank = kShapes;
    std::sort(by_rank.begin(), by_rank.end(),
              [](const Shape& a, const Shape& b) { return a.rank < b.rank; });
    std::array<bool, kShapes.size()> in{};   // by rank
    std::array<bool, kShapes.size()> cut{};  // second turn left out
    for (const Shape& shape : by_rank) {
      if (left == 0) {
        break;
      }
      in[shape.rank] = true;
      cut[shape.rank] = shape.second_turn && left == 1;
      left -= shape.second_turn && left > 1 ? 2 : 1;
    }
    for (Shape shape : kShapes) {
      if (in[shape.rank]) {
        shape.second_turn = shape.second_turn && !cut[shape.rank];
        chosen.push_back(shape);
      }
    }
  }
  return chosen;
}

/// Cuts pieces from the text, one after the other, round and round.
class Scissors {
 public:
  explicit Scissors(const std::vector<Token>& text) : text_(text) {}

  void cut(std::size_t count, std::vector<Token>& onto) {
    for (; count > 0; --count) {
      onto.push_back(text_[next_]);
      next_ = (next_ + 1) % text_.size();
    }
  }

 private:
  const std::vector<Token>& text_;
  std::size_t next_ = 0;
};

std::uint32_t round_up(std::uint32_t value, std::uint32_t to) {
  return (value + to - 1) / to * to;
}

void add(Plan& plan, PlannedRequest request, std::uint32_t prompt_tokens,
         const DemoOptions& options) {
  const std::uint32_t chunks = round_up(prompt_tokens, options.chunk_tokens) / options.chunk_tokens;
  plan.largest_chunks = std::max(plan.largest_chunks, chunks);
  plan.total_chunks += chunks;
  plan.context_tokens = std::max(plan.context_tokens, prompt_tokens + options.tokens);
  plan.prompt_tokens.push_back(prompt_tokens);
  plan.requests.push_back(std::move(request));
}

}  // namespace

StatusOr<Plan> make_plan(const DemoOptions& options, const ModelLimits& model,
                         const std::vector<Token>& text) {
  const std::uint32_t needed = 2 * options.chunk_tokens + 2 * options.tokens + kSecondTurnTokens;
  if (model.max_context_tokens < needed) {
    return absl::FailedPreconditionError(fmt::format(
        "the model's context has {} tokens; two chunks of {} and two answers of {} tokens need {}: "
        "take a smaller --chunk-size or --tokens, or another model",
        model.max_context_tokens, options.chunk_tokens, options.tokens, needed));
  }
  if (text.empty()) {
    return absl::FailedPreconditionError(
        std::string("the model's vocabulary makes no token of the licence texts"));
  }
  Scissors scissors(text);
  std::vector<Token> shared = model.beginning;
  scissors.cut(kSharedTokens - std::min<std::size_t>(kSharedTokens, shared.size()), shared);
  Plan plan;
  for (const Shape& shape : choose_shapes(options.requests)) {
    // Room for the answers, and for the second turn.
    const std::uint32_t turn_tokens = options.tokens + kSecondTurnTokens;
    const std::uint32_t limit =
        model.max_context_tokens - options.tokens - (shape.second_turn ? turn_tokens : 0);
    const std::uint32_t tokens = std::min(shape.tokens, limit);
    PlannedRequest first;
    first.index = static_cast<std::uint32_t>(plan.requests.size());
    first.tokens = shape.shares_prefix ? shared : model.beginning;
    first.tokens.resize(std::min<std::size_t>(first.tokens.size(), tokens));
    scissors.cut(tokens - first.tokens.size(), first.tokens);
    const auto followed = static_cast<std::int32_t>(first.index);
    add(plan, std::move(first), tokens, options);
    if (shape.second_turn) {
      PlannedRequest second;
      second.index = static_cast<std::uint32_t>(plan.requests.size());
      second.follows = followed;
      scissors.cut(kSecondTurnTokens, second.tokens);
      add(plan, std::move(second), tokens + turn_tokens, options);
    }
  }
  plan.context_tokens =
      std::min(round_up(plan.context_tokens, options.chunk_tokens), model.max_context_tokens);
  return plan;
}

}  // namespace baton::demo
