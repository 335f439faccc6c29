// Convolution of contiguous x (n, groups * c, l_in) with w (groups * o, c, kernel) to y (n, groups * o, l_out):
//
//   y[n, o, j] = bias[o] + sum over c, t of w[o, c, t] x[n, c, j stride + t dilation - padding]
//
// c and o count the channels of one group; padding is that in front of the first sample.
#include "common.cuh"

// Each thread computes TILE channels at TILE positions. has_bias 0: `bias` is not read.
extern "C" __global__ void conv1d_forward(const float *x, const float *w, const float *bias, float *y, Index has_bias,
                                          Index n, Index groups, Index c, Index o, Index l_in, Index l_out,
                                          Index kernel, Index stride, Index padding, Index dilation) {
  const Index columns = tiles(l_out), blocks = tiles(o);
  EACH(i, n * groups * blocks * columns) {
    const Index column = i % columns, block = i / columns % blocks;
    const Index row_group = i / columns / blocks, group = row_group % groups;
    float sum[TILE][TILE] = {};
    for (Index ci = 0; ci < c; ci++) {
      const float *xs = x + (row_group * c + ci) * l_in;
      for (Index tap = 0; tap < kernel; tap++) {
        float value[TILE];
        for (int p = 0; p < TILE; p++) {
          const Index j = column + p * columns;
          // the product may overflow beyond the last output
          const Index at = j < l_out ? j * stride + tap * dilation - padding : -1;
          value[p] = at >= 0 && at < l_in ? xs[at] : 0.0f;
        }
        for (int q = 0; q < TILE; q++) {
          // beyond the last channel its weight stands in, and the sum is thrown away
          const Index channel = block + q * blocks < o ? block + q * blocks : o - 1;
          const float weight = w[((group * o + channel) * c + ci) * kernel + tap];
          for (int p = 0; p < TILE; p++) sum[q][p] = fmaf(weight, value[p], sum[q][p]);
        }
      }
    }
    for (int q = 0; q < TILE; q++) {
      const Index channel = block + q * blocks;
      if (channel >= o) break;
      const float start = has_bias ? bias[group * o + channel] : 0.0f;
      for (int p = 0; p < TILE; p++) {
        const Index j = column + p * columns;
        if (j < l_out) y[(row_group * o + channel) * l_out + j] = start + sum[q][p];
      }
    }
  }
}

// dx[n, c, i] = sum over o, t of w[o, c, t] dy[n, o, j], where j stride + t dilation - padding = i.
// Each thread computes TILE channels at TILE positions.
extern "C" __global__ void conv1d_input_gradient(const float *w, const float *dy, float *dx, Index n, Index groups,
                                                 Index c, Index o, Index l_in, Index l_out, Index kernel, Index stride,
                                                 Index padding, Index dilation) {
  const Index columns = tiles(l_in), blocks = tiles(c);
  EACH(i, n * groups * blocks * columns) {
    const Index column = i % columns, block = i / columns % blocks;
    const Index row_group = i / columns / blocks, group = row_group % groups;
    float sum[TILE][TILE] = {};
    for (Index tap = 0; tap < kernel; tap++) {
      Index from[TILE];
      for (int p = 0; p < TILE; p++) {
        const Index to = column + p * columns;
        const Index first = to < l_in ? to + padding - tap * dilation : -1;
        const Index j = stride == 1 ? first : first / stride;
        from[p] = first >= 0 && j * stride == first && j < l_out ? j : -1;
      }
      for (Index channel = 0; channel < o; channel++) {
        const float *dys = dy + (row_group * o + channel) * l_out;
        float value[TILE];
        for (int p = 0; p < TILE; p++) value[p] = from[p] >= 0 ? dys[from[p]] : 0.0f;
        for (int q = 0; q < TILE; q++) {
          const Index ci = block + q * blocks < c ? block + q * blocks : c - 1;
          const float weight = w[((group * o + channel) * c + ci) * kernel + tap];
          for (int p = 0; p < TILE; p++) sum[q][p] = fmaf(weight, value[p], sum[q][p]);
        }
      }
    }
    for (int q = 0; q < TILE; q++) {
      const Index ci = block + q * blocks;
      if (ci >= c) break;
      for (int p = 0; p < TILE; p++) {
        const Index to = column + p * columns;
        if (to < l_in) dx[(row_group * c + ci) * l_in + to] = sum[q][p];
      }
    }
  }
}

// dw[o, c, t] = sum over n, j of dy[n, o, j] x[n, c, j stride + t dilation - padding], in `lanes` parts that
// `sum_lanes` adds up: partial (lanes, groups * o, c, kernel). Each thread computes one part of TILE x TILE weights.
extern "C" __global__ void conv1d_weight_partials(const float *x, const float *dy, float *partial, Index lanes, Index n,
                                                  Index groups, Index c, Index o, Index l_in, Index l_out, Index kernel,
                                                  Index stride, Index padding, Index dilation) {
  const Index taps = c * kernel, columns = tiles(taps), blocks = tiles(o);
  EACH(i, groups * blocks * columns * lanes) {
    const Index lane = i % lanes, column = i / lanes % columns;
    const Index block = i / lanes / columns % blocks, group = i / lanes / columns / blocks;
    Index input[TILE], shift[TILE], output[TILE];
    for (int p = 0; p < TILE; p++) {
      const Index tap = column + p * columns < taps ? column + p * columns : taps - 1;
      input[p] = tap / kernel * l_in;
      shift[p] = tap % kernel * dilation - padding;
      output[p] = (block + p * blocks < o ? block + p * blocks : o - 1) * l_out;
    }
    float sum[TILE][TILE] = {};
    for (Walk walk(lane, lanes, l_out); walk.row < n; walk.next()) {
      const float *xs = x + (walk.row * groups + group) * c * l_in;
      const float *dys = dy + (walk.row * groups + group) * o * l_out + walk.position;
      float value[TILE];
      for (int p = 0; p < TILE; p++) {
        const Index at = walk.position * stride + shift[p];
        value[p] = at >= 0 && at < l_in ? xs[input[p] + at] : 0.0f;
      }
      for (int q = 0; q < TILE; q++) {
        const float gradient = dys[output[q]];
        for (int p = 0; p < TILE; p++) sum[q][p] = fmaf(gradient, value[p], sum[q][p]);
      }
    }
    for (int q = 0; q < TILE; q++) {
      const Index channel = block + q * blocks;
      if (channel >= o) break;
      for (int p = 0; p < TILE; p++) {
        const Index tap = column + p * columns;
        if (tap < taps) partial[((lane * groups + group) * o + channel) * taps + tap] = sum[q][p];
      }
    }
  }
}
