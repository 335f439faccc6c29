// What the kernels share. Every kernel is a loop over elements that depend on no other thread: there is no shared memory,
// no barrier and no atomic operation, so that the order of threads cannot change a bit of the result. Fused multiplications
// are written out (fmaf), and the compiler makes no others (--fmad=false).
#pragma once

// sizes and places; products of sizes pass 2^31
typedef long long Index;

// Elements that a thread takes along an axis. They lie `count / TILE` apart, so that threads with adjacent numbers read and write
// adjacent elements.
#define TILE 4

// The loop of a thread over its share of `count` numbers, for any number of threads.
#define EACH(i, count)                                                           \
  for (Index i = (Index)blockIdx.x * blockDim.x + threadIdx.x; i < (count);      \
       i += (Index)gridDim.x * blockDim.x)

static __device__ inline Index tiles(Index count) { return (count + TILE - 1) / TILE; }

// The rows and positions that a lane of a sum takes: the numbers lane, lane + lanes, .. of all rows * length, without a
// division for each.
struct Walk {
  Index row, position;
  Index row_step, position_step, length;

  __device__ Walk(Index lane, Index lanes, Index length)
      : row(lane / length),
        position(lane % length),
        row_step(lanes / length),
        position_step(lanes % length),
        length(length) {}

  __device__ void next() {
    row += row_step;
    position += position_step;
    if (position >= length) {
      position -= length;
      row += 1;
    }
  }
};
