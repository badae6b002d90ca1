// Rearrangements of channels-last video [T, H, W, C]. Where shapes allow it a thread moves a pack
// of channels of one pixel; "packs" below are elements where they do not.
#include "cuda_ops.h"
#include "packs.cuh"

namespace weft::cuda {
namespace {

// Calls f(X{}, Y{}) with the element types of x and y.
template <class F>
void by_types(const Tensor& x, const Tensor& y, F f) {
  by_type(x.dtype(), [&]<class X>(X) { by_type(y.dtype(), [&]<class Y>(Y) { f(X{}, Y{}); }); });
}

// ---- copies ----

// A pack of line h of frame t of x goes to four places of y.
template <int N, class X, class Y>
struct Upsample2x {
  const X* x;
  Y* y;
  std::int64_t height;  // of x
  int pixel, line;      // packs of a pixel, and of a line of x
  __device__ void operator()(std::int64_t t, std::int64_t h, int i) const {
    const std::int64_t row = t * height + h;
    float v[N];
    load<N>(x + (row * line + i) * N, v);
    const auto values = word<Y>(v);
    // Lines of y have twice the packs, and line h becomes lines 2h and 2h + 1; so with pixels.
    auto* to = reinterpret_cast<std::remove_const_t<decltype(values)>*>(y) + 4 * row * line + i +
               i / pixel * pixel;
    to[0] = values;
    to[pixel] = values;
    to[2 * line] = values;
    to[2 * line + pixel] = values;
  }
};

// A pixel of x holds the pixel of frame 2t, then that of frame 2t + 1.
template <int N, class X, class Y>
struct ChannelsToFrames {
  const X* x;
  Y* y;
  std::int64_t height;
  int pixel, line;  // packs of a pixel and of a line of y
  __device__ void operator()(std::int64_t t, std::int64_t h, int i) const {
    float v[N];
    load<N>(x + ((t * height + h) * 2 * line + i) * N, v);
    const int half = i / pixel;  // halves of pixels of x before this one
    const int w = half / 2, a = half % 2, k = i - half * pixel;
    const std::int64_t row = (2 * t + a) * height + h;
    store<N>(y + (row * line + w * pixel + k) * N, v);
  }
};

enum class Towards : std::uint8_t { patches, image };

// The element at line h and item i of frame t of the image, and its place among the patches.
template <Towards direction, class X, class Y>
struct PixelPatches {
  const X* x;
  Y* y;
  int p, channels;
  int lines, width;  // of the patched tensor
  __device__ void operator()(std::int64_t t, std::int64_t h, int i) const {
    const int col = i / channels, c = i - col * channels;
    const int row = static_cast<int>(h) / p, b = static_cast<int>(h) - row * p;
    const int w = col / p, e = col - w * p;
    const std::int64_t image = (t * lines * p + h) * width * p * channels + i;
    const std::int64_t patched =
        ((t * lines + row) * width + w) * channels * p * p + (c * p + e) * p + b;
    if constexpr (direction == Towards::patches) {
      y[patched] = from_float<Y>(to_float(x[image]));
    } else {
      y[image] = from_float<Y>(to_float(x[patched]));
    }
  }
};

// ---- the residual blocks' skips ----

// y += Dup(x) where an output has M channels of x of its own: C = M O. Each serves `repeats` of the
// 4 ft positions that the pixel grows to, one after the other. Items are packs of a line of x seen
// as [W, O].
template <int N, int M, class X, class Y>
struct AddDupUp {
  const X* x;
  Y* y;
  std::int64_t height;  // of x
  int pixel, line;      // packs of N outputs: of a pixel, and of a line of x
  int ft, drop_first, repeats;
  __device__ void operator()(std::int64_t t, std::int64_t h, int i) const {
    float channels[M][N];
    const X* from = x + ((t * height + h) * line + i) * M * N;
#pragma unroll
    for (int part = 0; part < M; ++part) load<N>(from + part * N, channels[part]);
    for (int a = 0; a < ft; ++a) {
      const std::int64_t frame = t * ft + a - drop_first;
      if (frame < 0) continue;
      // As in Upsample2x.
      Y* to = y + (4 * (frame * height + h) * line + i + i / pixel * pixel) * N;
      add_to_frame(to, channels, a);
    }
  }

 private:
  // Four positions of a frame, loaded together so that the waits overlap.
  __device__ void add_to_frame(Y* to, const float (&channels)[M][N], int a) const {
    const std::int64_t next[2] = {std::int64_t{line} * 2 * N, std::int64_t{pixel} * N};
    float sums[4][N];
#pragma unroll
    for (int s = 0; s < 4; ++s) load<N>(to + s / 2 * next[0] + s % 2 * next[1], sums[s]);
#pragma unroll
    for (int s = 0; s < 4; ++s) {
      const int which = M == 1 ? 0 : (4 * a + s) / repeats;
#pragma unroll
      for (int j = 0; j < N; ++j) sums[s][j] += channel_of(channels, j, which);
      store<N>(to + s / 2 * next[0] + s % 2 * next[1], sums[s]);
    }
  }
  // Channel `which` of output j, with constant indices only, so that all stays in registers.
  __device__ static float channel_of(const float (&channels)[M][N], int j, int which) {
    float value = channels[j * M / N][j * M % N];
#pragma unroll
    for (int m = 1; m < M; ++m) {
      if (which == m) value = channels[(j * M + m) / N][(j * M + m) % N];
    }
    return value;
  }
};

// The same for any other channel counts, an element of y per item.
template <class X, class Y>
struct AddDupUpByElement {
  const X* x;
  Y* y;
  std::int64_t height, width;  // of x
  int channels, outputs;
  int ft, drop_first, repeats;
  __device__ void operator()(std::int64_t frame, std::int64_t h, int i) const {
    const int w = i / outputs, o = i - w * outputs;
    const std::int64_t grown = frame + drop_first, t = grown / ft;
    const int a = static_cast<int>(grown - t * ft), b = static_cast<int>(h % 2);
    const int c = (((o * ft + a) * 2 + b) * 2 + w % 2) / repeats;
    const X value = x[((t * height + h / 2) * width + w / 2) * channels + c];
    Y& to = y[(frame * 2 * height + h) * 2 * width * outputs + i];
    to = from_float<Y>(to_float(to) + to_float(value));
  }
};

// y += Avg(x): an element of y per item.
template <class X, class Y>
struct AddAvgDown {
  const X* x;
  Y* y;
  std::int64_t height, width;  // of y
  int channels, outputs, ft;
  int group, missing;  // terms of a mean; zero frames before the first
  __device__ void operator()(std::int64_t t, std::int64_t h, int i) const {
    const int w = i / outputs, o = i - w * outputs;
    float sum = 0;
    for (int f = o * group; f < (o + 1) * group; ++f) {  // f = ((c ft + a) 2 + b) 2 + e
      const int e = f % 2, b = f / 2 % 2, a = f / 4 % ft, c = f / (4 * ft);
      const std::int64_t frame = t * ft + a - missing;
      if (frame < 0) continue;
      const std::int64_t pixel = ((frame * height + h) * 2 + b) * 2 * width + 2 * w + e;
      sum += to_float(x[pixel * channels + c]);
    }
    Y& to = y[(t * height + h) * width * outputs + i];
    to = from_float<Y>(to_float(to) + sum / static_cast<float>(group));
  }
};

template <int M, class X, class Y>
void launch_dup_up(const X* x, Y* y, const Shape& size, int outputs, int ft, int drop_first) {
  by_pack(
      outputs,
      [&](auto pack) {
        constexpr int n = decltype(pack)::value;
        const int pixel = outputs / n, line = static_cast<int>(size[2]) * pixel;
        launch_lines("add_dup_up", size[0], size[1], line,
                     AddDupUp<n, M, X, Y>{x, y, size[1], pixel, line, ft, drop_first, 4 * ft / M});
      },
      x, y);
}

template <Towards direction>
void launch_patches(const char* name, const Tensor& x, const Tensor& y, const Tensor& image,
                    const Tensor& patched, std::int64_t p) {
  const std::int64_t channels = image.dim(3);
  WEFT_ASSERT(patched.shape() ==
                      Shape({image.dim(0), image.dim(1) / p, image.dim(2) / p, channels * p * p}) &&
                  image.dim(1) % p == 0 && image.dim(2) % p == 0,
              "{}: x {}, patch {}, y {}", name, x.shape().str(), p, y.shape().str());
  by_types(x, y, [&]<class X, class Y>(X, Y) {
    launch_lines(
        name, image.dim(0), image.dim(1), image.dim(2) * channels,
        PixelPatches<direction, X, Y>{elements<X>(x), elements<Y>(y), static_cast<int>(p),
                                      static_cast<int>(channels), static_cast<int>(patched.dim(1)),
                                      static_cast<int>(patched.dim(2))});
  });
}

}  // namespace

void CudaOps::upsample2x(const Tensor& x, Tensor y) {
  const std::int64_t height = x.dim(1), width = x.dim(2), channels = x.dim(3);
  WEFT_ASSERT(y.shape() == Shape({x.dim(0), 2 * height, 2 * width, channels}),
              "upsample2x: x {}, y {}", x.shape().str(), y.shape().str());
  by_types(x, y, [&]<class X, class Y>(X, Y) {
    const X* from = elements<X>(x);
    Y* to = elements<Y>(y);
    by_pack(
        channels,
        [&](auto pack) {
          constexpr int n = decltype(pack)::value;
          const int pixel = static_cast<int>(channels) / n;
          const int line = static_cast<int>(width) * pixel;
          launch_lines("upsample2x", x.dim(0), height, line,
                       Upsample2x<n, X, Y>{from, to, height, pixel, line});
        },
        from, to);
  });
}

void CudaOps::channels_to_frames(const Tensor& x, Tensor y) {
  const std::int64_t height = x.dim(1), width = x.dim(2), channels = y.dim(3);
  WEFT_ASSERT(
      x.dim(3) == 2 * channels && y.shape() == Shape({2 * x.dim(0), height, width, channels}),
      "channels_to_frames: x {}, y {}", x.shape().str(), y.shape().str());
  by_types(x, y, [&]<class X, class Y>(X, Y) {
    const X* from = elements<X>(x);
    Y* to = elements<Y>(y);
    by_pack(
        channels,
        [&](auto pack) {
          constexpr int n = decltype(pack)::value;
          const int pixel = static_cast<int>(channels) / n;
          const int line = static_cast<int>(width) * pixel;
          launch_lines("channels_to_frames", x.dim(0), height, 2 * line,
                       ChannelsToFrames<n, X, Y>{from, to, height, pixel, line});
        },
        from, to);
  });
}

void CudaOps::add_dup_up(const Tensor& x, std::int64_t ft, std::int64_t drop_first, Tensor y) {
  const std::int64_t height = x.dim(1), width = x.dim(2);
  const int channels = static_cast<int>(x.dim(3)), outputs = static_cast<int>(y.dim(3));
  const int growth = static_cast<int>(ft), drop = static_cast<int>(drop_first);
  WEFT_ASSERT((ft == 1 || ft == 2) && 0 <= drop_first && drop_first < ft &&
                  y.dim(0) == x.dim(0) * ft - drop_first && y.dim(1) == 2 * height &&
                  y.dim(2) == 2 * width && outputs * growth * 4 % channels == 0,
              "add_dup_up: x {}, y {}, frame growth {}, dropped {}", x.shape().str(),
              y.shape().str(), ft, drop_first);
  by_types(x, y, [&]<class X, class Y>(X, Y) {
    const X* from = elements<X>(x);
    Y* to = elements<Y>(y);
    if (channels == outputs) {
      launch_dup_up<1>(from, to, x.shape(), outputs, growth, drop);
    } else if (channels == 2 * outputs) {
      launch_dup_up<2>(from, to, x.shape(), outputs, growth, drop);
    } else {
      launch_lines("add_dup_up", y.dim(0), y.dim(1), y.dim(2) * outputs,
                   AddDupUpByElement<X, Y>{from, to, height, width, channels, outputs, growth, drop,
                                           outputs * growth * 4 / channels});
    }
  });
}

void CudaOps::add_avg_down(const Tensor& x, std::int64_t ft, Tensor y) {
  const std::int64_t height = y.dim(1), width = y.dim(2);
  const int channels = static_cast<int>(x.dim(3)), outputs = static_cast<int>(y.dim(3));
  const int frames = static_cast<int>(ft);
  WEFT_ASSERT(
      (ft == 1 || ft == 2) && y.dim(0) == (x.dim(0) + ft - 1) / ft && x.dim(1) == 2 * height &&
          x.dim(2) == 2 * width && channels * frames * 4 % outputs == 0,
      "add_avg_down: x {}, y {}, frames per group {}", x.shape().str(), y.shape().str(), ft);
  const int missing = static_cast<int>(y.dim(0) * ft - x.dim(0));
  by_types(x, y, [&]<class X, class Y>(X, Y) {
    launch_lines("add_avg_down", y.dim(0), height, width * outputs,
                 AddAvgDown<X, Y>{elements<X>(x), elements<Y>(y), height, width, channels, outputs,
                                  frames, channels * frames * 4 / outputs, missing});
  });
}

void CudaOps::pixel_patchify(const Tensor& x, std::int64_t p, Tensor y) {
  launch_patches<Towards::patches>("pixel_patchify", x, y, x, y, p);
}

void CudaOps::pixel_unpatchify(const Tensor& x, std::int64_t p, Tensor y) {
  launch_patches<Towards::image>("pixel_unpatchify", x, y, y, x, p);
}

}  // namespace weft::cuda
