// See expert_store.h. A slot holds an expert's spans one behind the other, each from the start of its file's page on, so
// that direct reads need no copy. The gate and up rows of one tensor lie in one span.
#include "expert_store.h"

#include <algorithm>
#include <cstring>

#ifdef __linux__
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace gptoss {

#ifndef __linux__

struct ExpertStore::File {};
std::shared_ptr<ExpertStore> ExpertStore::make(const Program&, size_t) { return nullptr; }
ExpertStore::~ExpertStore() = default;
void ExpertStore::bring(Worker&, const Matrix*, const int32_t*, int64_t, Experts) {}
bool ExpertStore::failed(const Bytes*) const { return false; }

#else

namespace {

constexpr int64_t kPage = 4096, kPiece = int64_t{2} << 20;
int64_t page_floor(int64_t at) { return at / kPage * kPage; }
int64_t page_ceiling(int64_t at) { return (at + kPage - 1) / kPage * kPage; }

}  // namespace

struct ExpertStore::File {
  std::shared_ptr<Bytes> bytes;  // keeps the mapping that the rest of the weights lie in
  int descriptor = -1;
  std::atomic<bool> failed{false};
  ~File() {
    if (descriptor >= 0) close(descriptor);
  }
};

ExpertStore::~ExpertStore() {
  for (const Layer& layer : layers_) {
    for (const auto& weight : layer.weights) weight->matrix.experts_at = weight->matrix.scales_at = nullptr;
  }
}

// The file again, past the page cache where its file system can; -1 where it is no longer the one that is mapped.
int32_t ExpertStore::file_of(const std::shared_ptr<Bytes>& bytes) {
  for (size_t i = 0; i < files_.size(); i++) {
    if (files_[i]->bytes == bytes) return static_cast<int32_t>(i);
  }
  if (bytes->path.empty()) return -1;
  const int plain = open(bytes->path.c_str(), O_RDONLY | O_CLOEXEC);
  if (plain < 0) return -1;
  auto file = std::make_unique<File>();
  file->bytes = bytes;
  file->descriptor = plain;
  const size_t size = bytes->memory.size(), head = std::min<size_t>(size, kPage);
  uint8_t first[kPage];
  if (lseek(plain, 0, SEEK_END) != static_cast<off_t>(size) || pread(plain, first, head, 0) != static_cast<ssize_t>(head) ||
      std::memcmp(first, bytes->memory.data(), head) != 0) {
    return -1;
  }
  const int direct = open(bytes->path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT);
  if (direct >= 0) {
    close(plain);
    file->descriptor = direct;
  }
  madvise(bytes->memory.data(), size, MADV_RANDOM);  // nothing beyond the large page that a fault is in
  files_.push_back(std::move(file));
  return static_cast<int32_t>(files_.size() - 1);
}

bool ExpertStore::add_layer(std::vector<std::shared_ptr<MatrixWeight>> weights) {
  Layer layer;
  layer.weights = std::move(weights);
  layer.experts = layer.weights[0]->matrix.experts;
  const auto add = [&](const std::shared_ptr<Bytes>& bytes, const uint8_t* data, int64_t length, int64_t stride) {
    const int32_t file = file_of(bytes);
    const int64_t offset = data - bytes->memory.data();
    if (file < 0) return false;
    for (Span& span : layer.spans) {  // rows of gate and up in turn: one span
      if (span.file != file || span.stride != stride || offset > span.offset + span.bytes || offset + length < span.offset) continue;
      const int64_t end = std::max(span.offset + span.bytes, offset + length);
      span.offset = std::min(span.offset, offset);
      span.bytes = end - span.offset;
      return span.bytes <= stride || layer.experts == 1;
    }
    layer.spans.push_back({file, offset, length, stride, 0});
    return length <= stride || layer.experts == 1;
  };
  for (const auto& weight : layer.weights) {
    const Matrix& m = weight->matrix;
    if (m.experts != layer.experts) return false;
    if (!add(weight->bytes, m.data, weight->expert_bytes, m.expert_stride)) return false;
    if (m.scales != nullptr && !add(weight->scale_bytes, m.scales, weight->expert_scale_bytes, m.scale_expert_stride)) return false;
  }
  for (Span& span : layer.spans) {
    span.in_slot = layer.slot_bytes;
    layer.slot_bytes += page_ceiling(span.bytes) + kPage;
  }
  layer.first_unit = static_cast<int32_t>(units_.size());
  units_.resize(units_.size() + static_cast<size_t>(layer.experts));
  for (const auto& weight : layer.weights) layer_of_[&weight->matrix] = static_cast<int32_t>(layers_.size());
  layers_.push_back(std::move(layer));
  return true;
}

std::shared_ptr<ExpertStore> ExpertStore::make(const Program& program, size_t bytes) {
  std::unordered_map<const Matrix*, std::shared_ptr<MatrixWeight>> known;
  for (const auto& resource : program.uses) {
    if (auto weight = std::dynamic_pointer_cast<MatrixWeight>(resource)) known[&weight->matrix] = weight;
  }
  std::shared_ptr<ExpertStore> store(new ExpertStore);
  const MoeUpArgs* up = nullptr;
  int64_t total = 0;
  int32_t most_experts = 0;
  for (const Op& op : program.ops) {
    if (const auto* args = std::get_if<MoeUpArgs>(&op.args)) up = args;
    const auto* down = std::get_if<MoeDownArgs>(&op.args);
    if (down == nullptr || store->layer_of_.count(down->down) > 0) continue;  // or another part of the same
    if (up == nullptr || !store->add_layer({known.at(up->gate), known.at(up->up), known.at(down->down)})) return nullptr;
    up = nullptr;
    const Layer& layer = store->layers_.back();
    store->slot_bytes_ = std::max(store->slot_bytes_, layer.slot_bytes);
    most_experts = std::max(most_experts, layer.experts);
    total += layer.experts;
  }
  if (store->layers_.empty()) return nullptr;
  const int64_t slots = std::min(total, static_cast<int64_t>(bytes) / store->slot_bytes_);
  if (slots < most_experts) return nullptr;
  store->pool_ = Memory::zeroed(static_cast<size_t>(slots * store->slot_bytes_), "experts");
  store->unit_in_.assign(static_cast<size_t>(slots), -1);
  for (const Layer& layer : store->layers_) {
    for (const auto& weight : layer.weights) {
      Matrix& m = weight->matrix;
      for (const bool scales : {false, true}) {
        if (scales && m.scales == nullptr) continue;
        store->pointers_.emplace_back(static_cast<size_t>(m.experts), store->pool_.data());
        (scales ? m.scales_at : m.experts_at) = store->pointers_.back().data();
      }
    }
  }
  return store;
}

// Lets the matrices of a layer find an expert in its slot.
void ExpertStore::place(int32_t l, int32_t expert, int32_t slot_index) {
  const Layer& layer = layers_[static_cast<size_t>(l)];
  const auto lead = [&](const uint8_t* const* table, const std::shared_ptr<Bytes>& bytes, const uint8_t* data) {
    const int64_t offset = data - bytes->memory.data();
    for (const Span& span : layer.spans) {
      if (files_[static_cast<size_t>(span.file)]->bytes != bytes || offset < span.offset || offset >= span.offset + span.bytes) continue;
      const int64_t start = span.offset + expert * span.stride;
      const_cast<const uint8_t**>(table)[expert] = slot(slot_index) + span.in_slot + (start - page_floor(start)) + (offset - span.offset);
    }
  };
  for (const auto& weight : layer.weights) {
    const Matrix& m = weight->matrix;
    lead(m.experts_at, weight->bytes, m.data);
    if (m.scales != nullptr) lead(m.scales_at, weight->scale_bytes, m.scales);
  }
}

void ExpertStore::plan(int32_t l, const int32_t* ids, int64_t count, Experts range) {
  const Layer& layer = layers_[static_cast<size_t>(l)];
  now_++;
  missing_.clear();
  reads_.clear();
  for (int64_t i = 0; i < count; i++) {
    if (ids[i] < range.first || ids[i] >= range.end) continue;
    Unit& unit = units_[static_cast<size_t>(layer.first_unit + ids[i])];
    if (unit.used == now_) continue;
    unit.used = now_;
    if (unit.slot < 0) missing_.push_back(ids[i]);
  }
  for (const int32_t expert : missing_) {
    // An empty slot, or the one that was not used for longest; what this op needs is in neither.
    size_t oldest = 0;
    int64_t least = INT64_MAX;
    for (size_t s = 0; s < unit_in_.size() && least >= 0; s++) {
      const int64_t used = unit_in_[s] < 0 ? -1 : units_[static_cast<size_t>(unit_in_[s])].used;
      if (used < least) {
        least = used;
        oldest = s;
      }
    }
    if (unit_in_[oldest] >= 0) units_[static_cast<size_t>(unit_in_[oldest])].slot = -1;
    unit_in_[oldest] = layer.first_unit + expert;
    units_[static_cast<size_t>(layer.first_unit + expert)].slot = static_cast<int32_t>(oldest);
    place(l, expert, static_cast<int32_t>(oldest));
    for (const Span& span : layer.spans) {
      const int64_t start = span.offset + expert * span.stride, from = page_floor(start), end = page_ceiling(start + span.bytes);
      for (int64_t at = from; at < end; at += kPiece) {
        reads_.push_back({span.file, at, std::min(kPiece, end - at), slot(static_cast<int32_t>(oldest)) + span.in_slot + (at - from)});
      }
    }
  }
}

void ExpertStore::read(const Read& r) {
  File& file = *files_[static_cast<size_t>(r.file)];
  // The last page of a file is shorter than what is asked for.
  const int64_t needed = std::min(r.bytes, static_cast<int64_t>(file.bytes->memory.size()) - r.offset);
  int64_t done = 0;
  while (done < needed) {
    const ssize_t got = pread(file.descriptor, r.to + done, static_cast<size_t>(r.bytes - done), r.offset + done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    done += got;
    if (done < needed && got % kPage != 0) break;  // a direct read goes on at a page
  }
  if (done >= needed) return;
  std::memset(r.to + done, 0, static_cast<size_t>(r.bytes - done));
  file.failed.store(true, std::memory_order_relaxed);
}

void ExpertStore::bring(Worker& worker, const Matrix* matrix, const int32_t* ids, int64_t count, Experts range) {
  const auto found = layer_of_.find(matrix);
  if (found == layer_of_.end()) return;
  if (worker.id == 0) plan(found->second, ids, count, range);
  worker.barrier();
  worker.chunks(static_cast<int64_t>(reads_.size()), [&](int64_t i) { read(reads_[static_cast<size_t>(i)]); });
}

bool ExpertStore::failed(const Bytes* bytes) const {
  for (const auto& file : files_) {
    if (file->bytes.get() == bytes && file->failed.load(std::memory_order_relaxed)) return true;
  }
  return false;
}

#endif

}  // namespace gptoss
