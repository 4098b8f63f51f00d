// Rows where llama.cpp has them: the same bits as its blob's, or no answer.
#include "src/engine/kv_rows.h"

#include <ggml-backend.h>
#include <ggml-cpp.h>
#include <ggml.h>
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "src/engine/llama_context.h"
#include "tests/unit/engine/tiny_model_file.h"

namespace baton::engine {
namespace {

class KvRowsOfAModel : public WithTinyModel {
 protected:
  static LlamaContext make_context() {
    auto made = LlamaContext::create(*model->handle(), 512, 64);
    EXPECT_TRUE(made.ok()) << made.status();
    return *std::move(made);
  }

  static std::vector<std::byte> chunk_of(const KvView& view) {
    std::vector<std::byte> chunk(kv_chunk_bytes(view.shape, view.tokens));
    EXPECT_TRUE(kv_to_chunk(view, chunk).ok());
    return chunk;
  }

  static void expect_same_as_blob(LlamaContext& context, std::uint32_t first, std::uint32_t end) {
    const auto rows = context.rows(first, end);
    ASSERT_TRUE(rows.has_value()) << first << " to " << end;
    EXPECT_EQ(rows->shape, model->kv_shape());
    EXPECT_EQ(rows->tokens, end - first);
    EXPECT_EQ(rows->first_position, static_cast<std::int32_t>(first));
    const auto found = chunk_of(*rows);
    std::vector<std::byte> blob;
    ASSERT_TRUE(context.read_range(first, end, blob).ok());
    const auto view = parse_kv_blob(blob);
    ASSERT_TRUE(view.ok()) << view.status();
    EXPECT_EQ(found, chunk_of(*view)) << first << " to " << end;
  }
};

TEST_F(KvRowsOfAModel, AreThoseOfTheBlob) {
  LlamaContext context = make_context();
  const auto tokens = prompt(200);
  for (std::size_t at = 0; at < tokens.size(); at += 64) {
    const std::size_t count = std::min<std::size_t>(64, tokens.size() - at);
    ASSERT_TRUE(context.decode(std::span(tokens).subspan(at, count)).ok());
  }
  ASSERT_TRUE(context.decode(std::vector<Token>{5}).ok());
  for (const auto& [first, end] : std::initializer_list<std::pair<std::uint32_t, std::uint32_t>>{
           {0, 64}, {64, 128}, {128, 192}, {192, 200}, {0, 201}, {200, 201}, {17, 90}}) {
    expect_same_as_blob(context, first, end);
  }
  EXPECT_FALSE(context.rows(0, 202).has_value());
  EXPECT_FALSE(context.rows(200, 202).has_value());
  EXPECT_FALSE(context.rows(3, 3).has_value());
  EXPECT_FALSE(context.rows(4, 3).has_value());
}

TEST_F(KvRowsOfAModel, AreUnknownAfterAnImport) {
  LlamaContext context = make_context();
  const auto tokens = prompt(64);
  ASSERT_TRUE(context.decode(tokens).ok());
  std::vector<std::byte> blob;
  ASSERT_TRUE(context.read_range(0, 64, blob).ok());
  context.clear();
  EXPECT_FALSE(context.rows(0, 64).has_value());
  ASSERT_TRUE(context.append_blob(blob).ok());
  EXPECT_FALSE(context.rows(0, 64).has_value());
  ASSERT_TRUE(context.decode(tokens).ok());
  EXPECT_FALSE(context.rows(64, 128).has_value());
  // Nor is where an import has left what was there before.
  context.clear();
  ASSERT_TRUE(context.decode(tokens).ok());
  ASSERT_TRUE(context.decode(tokens).ok());
  ASSERT_TRUE(context.read_range(64, 128, blob).ok());
  context.clear();
  ASSERT_TRUE(context.decode(tokens).ok());
  ASSERT_TRUE(context.append_blob(blob).ok());
  EXPECT_FALSE(context.rows(0, 64).has_value());
  // From here on all was watched again.
  context.clear();
  ASSERT_TRUE(context.decode(tokens).ok());
  expect_same_as_blob(context, 0, 64);
}

/// A layer's cache, and the graph nodes that write batches into it, as llama.cpp makes them.
class KvRowsOfNodes : public testing::Test {
 protected:
  static constexpr std::int64_t kRow = 8;
  static constexpr std::uint32_t kRowBytes = 2 * kRow;
  static constexpr std::int64_t kCells = 32;
  static constexpr std::int64_t kBatch = 4;

  static void SetUpTestSuite() { ASSERT_TRUE(init_llama().ok()); }

  KvRowsOfNodes()
      : backend_(ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, nullptr)),
        tensors_(ggml_init({.mem_size = 1U << 20U, .mem_buffer = nullptr, .no_alloc = true})) {}

  ggml_tensor* cache(const std::string& name, ggml_type type = GGML_TYPE_F16) {
    ggml_tensor* made = ggml_new_tensor_2d(tensors_.get(), type, kRow, kCells);
    ggml_set_name(made, name.c_str());
    return made;
  }
  /// Writes a batch into `to`.
  ggml_tensor* writer(ggml_tensor* to, std::int64_t count = kBatch) {
    ggml_tensor* rows = ggml_new_tensor_2d(tensors_.get(), GGML_TYPE_F32, kRow, count);
    ggml_tensor* cells = ggml_new_tensor_1d(tensors_.get(), GGML_TYPE_I64, count);
    return ggml_set_rows(tensors_.get(), to, rows, cells);
  }
  void allocate() {
    buffer_.reset(ggml_backend_alloc_ctx_tensors(tensors_.get(), backend_.get()));
    ASSERT_NE(buffer_, nullptr);
  }
  static void set_cells(ggml_tensor* writer, std::int64_t first) {
    auto* cells = static_cast<std::int64_t*>(writer->src[1]->data);
    std::iota(cells, cells + ggml_nelements(writer->src[1]), first);
  }
  /// One batch to the cells from `first` on, through these nodes.
  void batch(std::initializer_list<ggml_tensor*> writers, std::int64_t first) {
    rows_.begin_batch(kBatch);
    for (ggml_tensor* one : writers) {
      set_cells(one, first);
      EXPECT_FALSE(KvRows::on_node(one, /*ask=*/true, &rows_));
    }
    rows_.end_batch();
  }
  bool known(std::uint32_t first, std::uint32_t end) const {
    return rows_.find(first, end).has_value();
  }

  KvRows rows_;
  ggml_backend_ptr backend_;
  ggml_context_ptr tensors_;
  ggml_backend_buffer_ptr buffer_;
};

TEST_F(KvRowsOfNodes, AreFoundInTheOrderOfTheLayers) {
  std::vector<ggml_tensor*> caches;
  for (const char* name : {"cache_k_l10", "cache_v_l2", "cache_v_l10", "cache_k_l2"}) {
    caches.push_back(cache(name));
  }
  std::vector<ggml_tensor*> writers;
  writers.reserve(caches.size());
  for (ggml_tensor* one : caches) {
    writers.push_back(writer(one));
  }
  allocate();
  batch({writers[0], writers[1], writers[2], writers[3]}, 0);
  batch({writers[0], writers[1], writers[2], writers[3]}, kBatch);
  const auto view = rows_.find(1, 7);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->shape, (KvShape{.layers = 2, .row_bytes = kRowBytes}));
  const auto where = [](const ggml_tensor* one) {
    return static_cast<const std::byte*>(one->data) + kRowBytes;
  };
  ASSERT_EQ(view->keys.size(), 2U);
  ASSERT_EQ(view->values.size(), 2U);
  EXPECT_EQ(view->keys[0].data(), where(caches[3]));
  EXPECT_EQ(view->keys[1].data(), where(caches[0]));
  EXPECT_EQ(view->values[0].data(), where(caches[1]));
  EXPECT_EQ(view->values[1].data(), where(caches[2]));
  EXPECT_EQ(view->keys[0].size(), 6U * kRowBytes);
}

TEST_F(KvRowsOfNodes, NeedPositionsInTheirOwnCells) {
  ggml_tensor* k = writer(cache("cache_k_l0"));
  ggml_tensor* v = writer(cache("cache_v_l0"));
  allocate();
  batch({k, v}, 0);
  EXPECT_TRUE(known(0, kBatch));
  batch({k, v}, kBatch + 1);
  EXPECT_FALSE(known(0, kBatch));
  rows_.clear();
  batch({k, v}, 1);
  EXPECT_FALSE(known(0, kBatch));
  rows_.clear();
  batch({k, v}, 0);
  EXPECT_TRUE(known(0, kBatch));
}

TEST_F(KvRowsOfNodes, NeedEachLayerOnceInEachBatch) {
  ggml_tensor* k = writer(cache("cache_k_l0"));
  ggml_tensor* v = writer(cache("cache_v_l0"));
  ggml_tensor* k1 = writer(cache("cache_k_l1"));
  ggml_tensor* v1 = writer(cache("cache_v_l1"));
  allocate();
  batch({}, 0);
  EXPECT_FALSE(known(0, kBatch)) << "nothing";
  const auto after = [&](std::initializer_list<ggml_tensor*> writers) {
    rows_ = KvRows();
    batch({k, v}, 0);
    EXPECT_TRUE(known(0, kBatch));
    batch(writers, kBatch);
    return known(0, kBatch);
  };
  EXPECT_TRUE(after({k, v}));
  EXPECT_FALSE(after({k})) << "no V";
  EXPECT_FALSE(after({v})) << "no K";
  EXPECT_FALSE(after({k, v, v})) << "V twice";
  EXPECT_FALSE(after({k, v, k1, v1})) << "another layer";
  rows_ = KvRows();
  batch({k, v1}, 0);
  EXPECT_FALSE(known(0, kBatch)) << "K and V of two layers";
}

TEST_F(KvRowsOfNodes, NeedTheSameMemoryInEachBatch) {
  ggml_tensor* k = writer(cache("cache_k_l0"));
  ggml_tensor* v = writer(cache("cache_v_l0"));
  ggml_tensor* moved = writer(cache("cache_k_l0"));
  allocate();
  batch({k, v}, 0);
  batch({moved, v}, kBatch);
  EXPECT_FALSE(known(0, kBatch));
}

TEST_F(KvRowsOfNodes, AreOnlyWhatLlamaCppCallsItsCache) {
  struct Other {
    std::string keys;
    std::string values;
    ggml_type type;
  };
  const std::vector<Other> others = {
      {"cache_k_l", "cache_v_l", GGML_TYPE_F16},
      {"cache_k_l0 (view)", "cache_v_l0", GGML_TYPE_F16},
      {"cache_k_l-1", "cache_v_l-1", GGML_TYPE_F16},
      {"cache_k_l1024", "cache_v_l1024", GGML_TYPE_F16},
      {"other", "cache_v_l0", GGML_TYPE_F16},
      {"cache_k_l0", "cache_v_l0", GGML_TYPE_F32},
  };
  std::vector<std::pair<ggml_tensor*, ggml_tensor*>> writers;
  writers.reserve(others.size());
  for (const Other& other : others) {
    writers.emplace_back(writer(cache(other.keys, other.type)),
                         writer(cache(other.values, other.type)));
  }
  allocate();
  for (std::size_t i = 0; i < others.size(); ++i) {
    rows_ = KvRows();
    batch({writers[i].first, writers[i].second}, 0);
    EXPECT_FALSE(known(0, kBatch)) << others[i].keys << " of type " << others[i].type;
  }
}

TEST_F(KvRowsOfNodes, NeedRowsOfOneSize) {
  ggml_tensor* k = writer(cache("cache_k_l0"));
  ggml_tensor* wide = ggml_new_tensor_2d(tensors_.get(), GGML_TYPE_F16, 2 * kRow, kCells);
  ggml_set_name(wide, "cache_v_l0");
  ggml_tensor* v = ggml_set_rows(
      tensors_.get(), wide, ggml_new_tensor_2d(tensors_.get(), GGML_TYPE_F32, 2 * kRow, kBatch),
      ggml_new_tensor_1d(tensors_.get(), GGML_TYPE_I64, kBatch));
  allocate();
  batch({k, v}, 0);
  EXPECT_FALSE(known(0, kBatch));
}

TEST_F(KvRowsOfNodes, NeedMemoryOfTheHost) {
  ggml_tensor* k = writer(cache("cache_k_l0"));
  ggml_tensor* v = writer(cache("cache_v_l0"));
  allocate();
  // As a cache has none whose bytes are elsewhere.
  k->view_src->buffer = nullptr;
  batch({k, v}, 0);
  EXPECT_FALSE(known(0, kBatch));
}

TEST_F(KvRowsOfNodes, NeedAsManyRowsAsTheBatchHasTokens) {
  ggml_tensor* k = writer(cache("cache_k_l0"), kBatch - 1);
  ggml_tensor* v = writer(cache("cache_v_l0"), kBatch - 1);
  allocate();
  for (const ggml_tensor* one : {k, v}) {  // what lies behind them: ggml aligns to more
    static_cast<std::int64_t*>(one->src[1]->data)[kBatch - 1] = kBatch - 1;
  }
  batch({k, v}, 0);
  EXPECT_FALSE(known(0, kBatch));
}

TEST_F(KvRowsOfNodes, LeavesOtherNodesAndResultsAlone) {
  ggml_tensor* k = writer(cache("cache_k_l0"));
  ggml_tensor* v = writer(cache("cache_v_l0"));
  ggml_tensor* sum = ggml_add(tensors_.get(), k->src[0], v->src[0]);
  allocate();
  batch({k, sum, v}, 0);
  EXPECT_TRUE(known(0, kBatch));
  EXPECT_TRUE(KvRows::on_node(k, /*ask=*/false, &rows_)) << "false would end the computation";
  EXPECT_TRUE(known(0, kBatch));
}

}  // namespace
}  // namespace baton::engine
