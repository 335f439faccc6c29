// Batch norm of contiguous x (rows, channels, length), and ReLU after it where `relu` is not 0:
//
//   y = (x - mean) weight / sqrt(var + eps) + bias, channel by channel
//
// moments (2, channels) are means and biased variances, taken from x or given. Numbers of a channel are worked out once, in
// f64; the elements see their f32 values: lines (4, channels) hold mean, scale, and for the gradient offset and slope.
#include "common.cuh"

static __device__ inline float normalised(float x, float mean, float scale, float bias, Index relu) {
  const float y = fmaf(x - mean, scale, bias);
  // false for NaN, which therefore stays
  return relu && y <= 0.0f ? 0.0f : y;
}

// The gradient before ReLU to that after it. The result is computed again rather than read: the same function of the same
// numbers gives the same bits.
static __device__ inline float gated(float x, float dy, float mean, float scale, float bias, Index relu) {
  return relu && fmaf(x - mean, scale, bias) <= 0.0f ? 0.0f : dy;
}

// Means and scales of `lines`.
extern "C" __global__ void batch_norm_lines(const double *moments, const float *weight, float *lines, double eps,
                                            Index channels) {
  EACH(channel, channels) {
    lines[channel] = (float)moments[channel];
    lines[channels + channel] = (float)(weight[channel] / sqrt(moments[channels + channel] + eps));
  }
}

extern "C" __global__ void batch_norm_apply(const float *x, const float *lines, const float *bias, float *y, Index rows,
                                            Index channels, Index length, Index relu) {
  const Index columns = tiles(length);
  EACH(i, rows * channels * columns) {
    const Index column = i % columns, row = i / columns, channel = row % channels;
    const float mean = lines[channel], scale = lines[channels + channel], shift = bias[channel];
    for (int p = 0; p < TILE; p++) {
      const Index at = column + p * columns;
      if (at < length) y[row * length + at] = normalised(x[row * length + at], mean, scale, shift, relu);
    }
  }
}

// Sums over rows and length of dz (x - mean) and of dz, the gradient before ReLU, in parts: partial (lanes, 2, channels).
extern "C" __global__ void batch_norm_gradient_sums(const float *x, const float *dy, const float *lines,
                                                    const float *bias, double *partial, Index lanes, Index rows,
                                                    Index channels, Index length, Index relu) {
  EACH(i, channels * lanes) {
    const Index lane = i % lanes, channel = i / lanes;
    const float mean = lines[channel], scale = lines[channels + channel], shift = bias[channel];
    double with_x = 0.0, sum = 0.0;
    for (Walk walk(lane, lanes, length); walk.row < rows; walk.next()) {
      const Index at = (walk.row * channels + channel) * length + walk.position;
      const double dz = gated(x[at], dy[at], mean, scale, shift, relu);
      with_x = fma(dz, (double)x[at] - (double)mean, with_x);
      sum += dz;
    }
    partial[lane * 2 * channels + channel] = with_x;
    partial[(lane * 2 + 1) * channels + channel] = sum;
  }
}

// From the parts: sums (2, channels) of dz times the normalised x and of dz, which are the gradients of weight and bias,
// and offset and slope of `lines`. values: how many the statistics were taken over, 0 where they were given.
extern "C" __global__ void batch_norm_gradient_lines(const double *partial, const double *moments, double *sums,
                                                     float *lines, double eps, Index lanes, Index channels,
                                                     Index values) {
  EACH(channel, channels) {
    double with_x = 0.0, sum = 0.0;
    for (Index lane = 0; lane < lanes; lane++) {
      with_x += partial[lane * 2 * channels + channel];
      sum += partial[(lane * 2 + 1) * channels + channel];
    }
    const double inv_std = 1.0 / sqrt(moments[channels + channel] + eps);
    // the parts were taken about the rounded mean
    const double off = moments[channel] - (double)lines[channel];
    const double with_unit = fma(-off, sum, with_x) * inv_std;
    sums[channel] = with_unit;
    sums[channels + channel] = sum;
    lines[2 * channels + channel] = values ? (float)(sum / (double)values) : 0.0f;
    lines[3 * channels + channel] = values ? (float)(with_unit / (double)values * inv_std) : 0.0f;
  }
}

// dx = scale (dz - offset - (x - mean) slope)
extern "C" __global__ void batch_norm_input_gradient(const float *x, const float *dy, const float *lines,
                                                     const float *bias, float *dx, Index rows, Index channels,
                                                     Index length, Index relu) {
  const Index columns = tiles(length);
  EACH(i, rows * channels * columns) {
    const Index column = i % columns, row = i / columns, channel = row % channels;
    const float mean = lines[channel], scale = lines[channels + channel], shift = bias[channel];
    const float offset = lines[2 * channels + channel], slope = lines[3 * channels + channel];
    for (int p = 0; p < TILE; p++) {
      if (column + p * columns >= length) break;
      const Index at = row * length + column + p * columns;
      const float dz = gated(x[at], dy[at], mean, scale, shift, relu);
      dx[at] = scale * fmaf(-(x[at] - mean), slope, dz - offset);
    }
  }
}
