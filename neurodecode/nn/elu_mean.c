/* The mean over time of the ELU of a convolution, and what its gradients need. Lanes are filters. */
#include "vectors.h"

enum { TAPS = 13, STEPS = 10 }; /* of a filter, and of the convolution, at a time */

typedef struct {
    long n_times, n_filters, n_taps, stride;
    const float *x, *taps, *bias;
    float *mean, *slope, *tap_slope;
} Work;

static void partly(float *out, v x, long n) {
    if (n >= LANES) STORE(out, x);
    else for (long l = 0; l < n; l++) out[l] = x[l];
}

/* Of each signal and filter the mean of elu(z), in `mean`; of s = exp(min(z, 0)), the slope of the
 * ELU, in `slope`; and of s times the value under each tap, in `tap_slope`. `taps` is
 * (n_taps, n_filters), `tap_slope` (n, n_taps, n_filters). */
static int elu_part(const void *given, long first, long last) {
    const Work *w = given;
    long filters = up(w->n_filters, LANES), n_taps = up(w->n_taps, TAPS);
    long n_steps = (w->n_times - 1) / w->stride + 1, steps = up(n_steps, STEPS);
    long length = up(w->n_times + n_taps + (steps - n_steps + 1) * w->stride, LANES);
    long size = up(length + steps * LANES + (w->n_taps + 1) * filters, 16);
    float *x = aligned_alloc(64, size * sizeof(float));
    if (!x) return 1;
    float *slopes = x + length, *bias = slopes + steps * LANES, *taps = bias + filters;
    memset(x, 0, size * sizeof(float));
    memcpy(bias, w->bias, w->n_filters * sizeof(float));
    for (long k = 0; k < w->n_taps; k++)
        memcpy(taps + k * filters, w->taps + k * w->n_filters, w->n_filters * sizeof(float));
    for (long i = first; i < last; i++) {
        memcpy(x + w->n_taps / 2, w->x + i * w->n_times, w->n_times * sizeof(float));
        for (long f = 0; f < filters; f += LANES) {
            v above = {0}, sum = {0}, zero = {0};
            long at = i * w->n_filters + f, there = w->n_filters - f;
            for (long t = 0; t < steps; t += STEPS) {
                v z[STEPS];
                for (int j = 0; j < STEPS; j++) z[j] = LOAD(bias + f);
                for (long k = 0; k < w->n_taps; k++) {
                    v tap = LOAD(taps + k * filters + f);
                    for (int j = 0; j < STEPS; j++) z[j] += x[(t + j) * w->stride + k] * tap;
                }
                for (int j = 0; j < STEPS && t + j < n_steps; j++) {
                    v s = exponential(PICK(z[j] < zero, z[j], zero));
                    above += PICK(z[j] > zero, z[j], zero);
                    sum += s;
                    STORE(slopes + (t + j) * LANES, s);
                }
            }
            float part = 1.0f / (float)n_steps;
            partly(w->slope + at, sum * part, there);
            partly(w->mean + at, above * part + (sum * part - 1.0f), there);
            for (long k = 0; w->tap_slope && k < n_taps; k += TAPS) {
                v sums[TAPS] = {{0}};
                for (long t = 0; t < n_steps; t++) {
                    v s = LOAD(slopes + t * LANES);
                    for (int j = 0; j < TAPS; j++) sums[j] += x[t * w->stride + k + j] * s;
                }
                for (int j = 0; j < TAPS && k + j < w->n_taps; j++)
                    partly(w->tap_slope + (i * w->n_taps + k + j) * w->n_filters + f,
                           sums[j] * part, there);
            }
        }
    }
    free(x);
    return 0;
}

int elu_mean_forward(long n, long n_times, long n_filters, long n_taps, long stride, const float *x,
                     const float *taps, const float *bias, float *mean, float *slope,
                     float *tap_slope, long n_threads) {
    Work w = {.n_times = n_times, .n_filters = n_filters, .n_taps = n_taps, .stride = stride,
              .x = x, .taps = taps, .bias = bias, .mean = mean, .slope = slope,
              .tap_slope = tap_slope};
    return share(elu_part, &w, n, n_threads);
}
