// Sums over the batch and the length of contiguous (rows, channels, length), in f64: first in `lanes` parts, each the work
// of one thread, to (lanes, channels), then over the parts, always in the same order.
#include "common.cuh"

// Sums of x.
extern "C" __global__ void channel_sums(const float *x, double *partial, Index lanes, Index rows, Index channels,
                                        Index length) {
  EACH(i, channels * lanes) {
    const Index lane = i % lanes, channel = i / lanes;
    double sum = 0.0;
    for (Walk walk(lane, lanes, length); walk.row < rows; walk.next())
      sum += x[(walk.row * channels + channel) * length + walk.position];
    partial[lane * channels + channel] = sum;
  }
}

// Sums of (x - mean)^2.
extern "C" __global__ void channel_squares(const float *x, const double *mean, double *partial, Index lanes, Index rows,
                                           Index channels, Index length) {
  EACH(i, channels * lanes) {
    const Index lane = i % lanes, channel = i / lanes;
    const double centre = mean[channel];
    double sum = 0.0;
    for (Walk walk(lane, lanes, length); walk.row < rows; walk.next()) {
      const double off = x[(walk.row * channels + channel) * length + walk.position] - centre;
      sum = fma(off, off, sum);
    }
    partial[lane * channels + channel] = sum;
  }
}

// The means to parts of sums: of `count` sums over `values` values each.
extern "C" __global__ void mean_lanes(const double *partial, double *mean, Index lanes, Index count, Index values) {
  EACH(i, count) {
    double sum = 0.0;
    for (Index lane = 0; lane < lanes; lane++) sum += partial[lane * count + i];
    mean[i] = sum / (double)values;
  }
}

// The sums to parts of sums, rounded to f32.
extern "C" __global__ void sum_lanes_f64(const double *partial, float *sums, Index lanes, Index count) {
  EACH(i, count) {
    double sum = 0.0;
    for (Index lane = 0; lane < lanes; lane++) sum += partial[lane * count + i];
    sums[i] = (float)sum;
  }
}

// The same of parts in f32.
extern "C" __global__ void sum_lanes_f32(const float *partial, float *sums, Index lanes, Index count) {
  EACH(i, count) {
    double sum = 0.0;
    for (Index lane = 0; lane < lanes; lane++) sum += partial[lane * count + i];
    sums[i] = (float)sum;
  }
}
