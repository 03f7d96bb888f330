// Experts in memory of our own, for a model that is larger than the memory it may use. The page cache serves such a model
// badly: a fault brings in 2 MB and more around what was touched, and what it pushes out is wanted a layer later. Here an
// expert is read whole, past the page cache (O_DIRECT), into one of a fixed number of slots; the one that was not used for
// longest gives its place. Dense weights stay in the mapping. Linux only; elsewhere, and where a file does not lend itself
// to it, make() gives null and pages come and go as before. Measured in docs/memory-and-speculation.md.
#pragma once
#include <atomic>
#include <memory>
#include <unordered_map>
#include <vector>

#include "program.h"

namespace gptoss {

class ExpertStore {
 public:
  // For the experts of a program, in at most `bytes` of memory, which must hold those of any one layer (a prompt touches
  // them all). From then on the matrices lead to slots instead of their file: bring() before each use. Nothing may be running.
  static std::shared_ptr<ExpertStore> make(const Program& program, size_t bytes);
  ~ExpertStore();
  ExpertStore(const ExpertStore&) = delete;

  size_t bytes() const { return pool_.size(); }
  // On all workers at once: those experts in `range` that `ids` names, of the layer that `matrix` belongs to, are in their
  // slots when it returns.
  void bring(Worker& worker, const Matrix* matrix, const int32_t* ids, int64_t count, Experts range);
  bool failed(const Bytes* file) const;  // it could not be read where it should go on

 private:
  struct File;
  struct Span {  // of a layer's first expert in a file; the others follow at `stride`
    int32_t file;
    int64_t offset, bytes, stride, in_slot;
  };
  struct Layer {
    std::vector<Span> spans;
    std::vector<std::shared_ptr<MatrixWeight>> weights;
    int32_t first_unit = 0, experts = 0;
    int64_t slot_bytes = 0;
  };
  struct Unit {  // an expert of a layer
    int32_t slot = -1;
    int64_t used = 0;
  };
  struct Read {
    int32_t file;
    int64_t offset, bytes;
    uint8_t* to;
  };

  ExpertStore() = default;
  bool add_layer(std::vector<std::shared_ptr<MatrixWeight>> weights);
  int32_t file_of(const std::shared_ptr<Bytes>& bytes);
  uint8_t* slot(int32_t index) const { return pool_.data() + index * slot_bytes_; }
  void place(int32_t layer, int32_t expert, int32_t slot_index);
  void plan(int32_t layer, const int32_t* ids, int64_t count, Experts range);
  void read(const Read& read);

  std::vector<std::unique_ptr<File>> files_;
  std::vector<Layer> layers_;
  std::unordered_map<const Matrix*, int32_t> layer_of_;
  std::vector<std::vector<const uint8_t*>> pointers_;  // what Matrix::experts_at and scales_at lead to
  std::vector<Unit> units_;
  std::vector<int32_t> unit_in_;  // of each slot, -1: empty
  std::vector<int32_t> missing_;
  std::vector<Read> reads_;  // of one bring(): worker 0 plans, all read
  Memory pool_;
  int64_t slot_bytes_ = 0, now_ = 0;
};

}  // namespace gptoss
