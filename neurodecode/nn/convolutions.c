/* The stem of a convolutional decoder, and the mean of a convolution's ELU: forward and backward.
 *
 * What is made on the way stays in the cache of a core: a window (n_chans, n_times) or a signal is
 * taken through all steps before the next, and windows are shared out among threads. What is summed
 * over windows is given back window by window, so that sums do not depend on the number of threads.
 * Vectors are those of GCC and Clang, which any processor is given its own instructions for. A
 * convolution over time is a product with blocks of a Toeplitz matrix: a vector of its row is
 * loaded once for TILE blocks of the signal, each with one value that is the same in all lanes. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512F__)
enum { LANES = 16, TILE = 16 };
#elif defined(__AVX__)
enum { LANES = 8, TILE = 8 };
#else
enum { LANES = 4, TILE = 8 };
#endif
enum { ROWS = 4, TAPS = 13, MOST = 16 }; /* rows of a product, taps of a filter, at a time; threads */

typedef float v __attribute__((vector_size(4 * LANES)));
typedef int vi __attribute__((vector_size(4 * LANES)));
typedef float loose __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

#define LOAD(p) ((v)(*(const loose *)(p)))
#define STORE(p, x) (*(loose *)(p) = (loose)(x))
#define PICK(mask, a, b) ((v)(((vi)(mask) & (vi)(a)) | (~(vi)(mask) & (vi)(b))))

static inline long up(long n, long to) { return (n + to - 1) / to * to; }
static inline float total(v x) {
    float sum = 0;
    for (int l = 0; l < LANES; l++) sum += x[l];
    return sum;
}

/* exp(x) for x <= 0, to rounding. */
static inline v exponential(v x) {
    v low = (v){0} - 87.0f;
    x = PICK(x > low, x, low);
    v n = x * 1.44269504f + 12582912.0f; /* adding 1.5 * 2^23 rounds to a whole number */
    vi power = (vi)n << 23;
    n = n - 12582912.0f;
    v r = x - n * 0.693359375f + n * 2.12194440e-4f;
    v p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    return (v)((vi)p + power);
}

/* The normal distribution function at u, and its density: Abramowitz and Stegun, 7.1.26. */
static inline v normal(v u, v *density) {
    v e = exponential(u * u * -0.5f);
    vi negative = (vi)(u < (v){0});
    v size = PICK(negative, -u, u);
    v d = size * 0.23164189f + 1.0f; /* 0.3275911 / sqrt(2) */
    v t = (v)(0x7EF311C7 - (vi)d);   /* 1 / d to 12 %, and by Newton's steps to rounding */
    t = t * (2.0f - d * t);
    t = t * (2.0f - d * t);
    t = t * (2.0f - d * t);
    v p = t * 1.061405429f - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    v tail = p * t * e * 0.5f;
    *density = e * 0.39894228f;
    return PICK(negative, tail, 1.0f - tail);
}

typedef struct {
    long n, n_chans, n_times, n_maps, n_taps, n_patches, stride, first, last;
    const float *x, *mix, *taps, *norm, *bias, *gpooled, *mean_slope;
    float *z, *mean, *scatter, *pooled, *slope, *scaled_slope, *gmix, *gtaps;
} Work;

/* --- rows of a window, all of them `length` floats apart, zero from n_times on ---------------- */

/* out[i][j] = sum over time of a[i] b[j]; numbers of rows are multiples of ROWS. */
static void products(const float *a, long n_a, long a_step, const float *b, long n_b, long b_step,
                     long length, float *out, long out_step) {
    for (long i = 0; i < n_a; i += ROWS)
        for (long j = 0; j < n_b; j += ROWS) {
            v sums[ROWS][ROWS] = {{{0}}};
            for (long t = 0; t < length; t += LANES) {
                v left[ROWS];
                for (int p = 0; p < ROWS; p++) left[p] = LOAD(a + (i + p) * a_step + t);
                for (int q = 0; q < ROWS; q++) {
                    v right = LOAD(b + (j + q) * b_step + t);
                    for (int p = 0; p < ROWS; p++) sums[p][q] += left[p] * right;
                }
            }
            for (int p = 0; p < ROWS; p++)
                for (int q = 0; q < ROWS; q++) out[(i + p) * out_step + j + q] = total(sums[p][q]);
        }
}

/* out[i] = sum over j of mix[i][j] x[j]; n_out is a multiple of ROWS. */
static void mixed(const float *mix, long n_out, long n_in, const float *x, long x_step, long length,
                  float *out, long out_step) {
    for (long t = 0; t < length; t += 4 * LANES)
        for (long i = 0; i < n_out; i += ROWS) {
            v sums[ROWS][4] = {{{0}}};
            for (long j = 0; j < n_in; j++) {
                v in[4];
                for (int q = 0; q < 4; q++) in[q] = LOAD(x + j * x_step + t + q * LANES);
                for (int p = 0; p < ROWS; p++) {
                    float weight = mix[(i + p) * n_in + j];
                    for (int q = 0; q < 4; q++) sums[p][q] += weight * in[q];
                }
            }
            for (int p = 0; p < ROWS; p++)
                for (int q = 0; q < 4; q++)
                    STORE(out + (i + p) * out_step + t + q * LANES, sums[p][q]);
        }
}

/* out[t] = sum over k of f[k] in[t + k] for `length` steps, a multiple of TILE * LANES. `turned` is
 * f from last to first between LANES zeros on either side. */
static void filtered(const float *turned, long n_taps, const float *in, long length, float *out) {
    const float *rows = turned + LANES + n_taps - 1;
    for (long t = 0; t < length; t += TILE * LANES) {
        v sums[TILE] = {{0}};
        for (long j = 0; j < n_taps + LANES - 1; j++) {
            v row = LOAD(rows - j);
            for (int i = 0; i < TILE; i++) sums[i] += in[t + i * LANES + j] * row;
        }
        for (int i = 0; i < TILE; i++) STORE(out + t + i * LANES, sums[i]);
    }
}

/* out[k] = sum over t < n_times of g[t] y[t + k] for n_taps rounded up to vectors of four lanes;
 * g is zero for 4 * LANES steps before and after. */
static void lagged(const float *g, const float *y, long n_times, long n_taps, float *out) {
    for (long k = 0; k < n_taps; k += 4 * LANES) {
        v sums[4][4] = {{{0}}};
        for (long s = 0; s < n_times + 3 * LANES; s += 4)
            for (int i = 0; i < 4; i++) {
                v lags = LOAD(y + k + s + i);
                for (int q = 0; q < 4; q++) sums[i][q] += g[s + i - q * LANES] * lags;
            }
        for (int q = 0; q < 4; q++)
            STORE(out + k + q * LANES, sums[0][q] + sums[1][q] + sums[2][q] + sums[3][q]);
    }
}

/* --- the stem ------------------------------------------------------------------------------- */

typedef struct {
    long chans, maps, steps, length, taps; /* rounded up to what the loops above take at a time */
    long ahead;                            /* of a padded row, before its first step */
    float *memory, *x, *mix, *y, *g, *gy, *turned, *gtaps, *gmix;
} Room;

/* A thread's own memory, zeroed. Rows of y and g are `length` apart and begin `ahead` zeros in. */
static int open_room(Room *r, const Work *w) {
    r->chans = up(w->n_chans + 1, ROWS);
    r->maps = up(w->n_maps, ROWS);
    r->steps = up(w->n_times, TILE * LANES);
    r->taps = up(w->n_taps, 4 * LANES);
    r->ahead = up(w->n_taps, LANES) + 4 * LANES;
    r->length = r->steps + 2 * r->ahead + r->taps;
    long sizes[] = {r->chans * r->steps,      r->maps * r->chans, r->maps * r->length, r->length,
                    r->maps * r->steps,       r->taps + 3 * LANES, r->taps, r->maps * r->chans};
    float **parts[] = {&r->x, &r->mix, &r->y, &r->g, &r->gy, &r->turned, &r->gtaps, &r->gmix};
    long sum = 0;
    for (int i = 0; i < 8; i++) sum += up(sizes[i], 16);
    r->memory = aligned_alloc(64, sum * sizeof(float));
    if (!r->memory) return 1;
    memset(r->memory, 0, sum * sizeof(float));
    sum = 0;
    for (int i = 0; i < 8; sum += up(sizes[i++], 16)) *parts[i] = r->memory + sum;
    for (long i = 0; w->mix && i < w->n_maps; i++)
        memcpy(r->mix + i * r->chans, w->mix + i * (w->n_chans + 1), (w->n_chans + 1) * sizeof(float));
    return 0;
}

/* A window and a row of ones below it: what a constant is the weight of. */
static void take_window(const Room *r, const Work *w, long b) {
    for (long c = 0; c < w->n_chans; c++)
        memcpy(r->x + c * r->steps, w->x + (b * w->n_chans + c) * w->n_times,
               w->n_times * sizeof(float));
    for (long t = 0; t < w->n_times; t++) r->x[w->n_chans * r->steps + t] = 1.0f;
}

static void turn(const Room *r, const float *taps, long n_taps, int forward) {
    for (long k = 0; k < n_taps; k++)
        r->turned[LANES + k] = forward ? taps[n_taps - 1 - k] : taps[k];
}

/* Means over time of each channel of each window, and sums of products of what is left. */
static void *moments_part(void *given) {
    Work *w = given;
    Room r;
    if (open_room(&r, w)) return (void *)1;
    for (long b = w->first; b < w->last; b++) {
        for (long c = 0; c < w->n_chans; c++) {
            const float *in = w->x + (b * w->n_chans + c) * w->n_times;
            float *row = r.x + c * r.steps;
            memcpy(row, in, w->n_times * sizeof(float));
            v sum = {0};
            for (long t = 0; t < r.steps; t += LANES) sum += LOAD(row + t);
            float mean = total(sum) / (float)w->n_times;
            for (long t = 0; t < w->n_times; t++) row[t] -= mean;
            w->mean[b * w->n_chans + c] = mean;
        }
        products(r.x, r.chans, r.steps, r.x, r.chans, r.steps, r.steps, r.gmix, r.chans);
        for (long c = 0; c < w->n_chans; c++)
            memcpy(w->scatter + (b * w->n_chans + c) * w->n_chans, r.gmix + c * r.chans,
                   w->n_chans * sizeof(float));
    }
    free(r.memory);
    return NULL;
}

/* z = filters(mix(x)), and of each of its rows the mean and the sum of squares around it. */
static void *stem_part(void *given) {
    Work *w = given;
    Room r;
    if (open_room(&r, w)) return (void *)1;
    for (long b = w->first; b < w->last; b++) {
        take_window(&r, w, b);
        mixed(r.mix, r.maps, r.chans, r.x, r.steps, r.steps, r.y + r.ahead, r.length);
        for (long m = 0; m < w->n_maps; m++) {
            long at = b * w->n_maps + m;
            turn(&r, w->taps + m * w->n_taps, w->n_taps, 1);
            filtered(r.turned, w->n_taps, r.y + m * r.length + r.ahead - w->n_taps / 2, r.steps, r.g);
            for (long t = w->n_times; t < r.steps; t++) r.g[t] = 0.0f;
            v sum = {0}, squares = {0};
            for (long t = 0; t < r.steps; t += LANES) sum += LOAD(r.g + t);
            float mean = total(sum) / (float)w->n_times;
            for (long t = 0; t < r.steps; t += LANES) {
                v apart = LOAD(r.g + t) - mean;
                squares += apart * apart;
            }
            w->mean[at] = mean; /* zeros after the window are no part of it */
            w->scatter[at] = total(squares) - (float)(r.steps - w->n_times) * mean * mean;
            memcpy(w->z + at * w->n_times, r.g, w->n_times * sizeof(float));
        }
    }
    free(r.memory);
    return NULL;
}

/* Of each patch the mean of gelu(gain * n + shift), n = (z - mean) / sd; of its slope; and of its
 * slope times n. `norm` is (4, n_maps): mean, 1 / sd, gain, shift. */
static void *pool_part(void *given) {
    Work *w = given;
    long steps = up(w->n_times, LANES), maps = w->n_maps;
    float *rows = aligned_alloc(64, 3 * steps * sizeof(float)), *in = rows + 0;
    if (!rows) return (void *)1;
    float *rise = rows + steps, *scaled = rows + 2 * steps;
    for (long b = w->first; b < w->last; b++)
        for (long m = 0; m < maps; m++) {
            float mean = w->norm[m], r = w->norm[maps + m];
            float gain = w->norm[2 * maps + m], shift = w->norm[3 * maps + m];
            memcpy(in, w->z + (b * maps + m) * w->n_times, w->n_times * sizeof(float));
            for (long t = w->n_times; t < steps; t++) in[t] = 0.0f;
            for (long t = 0; t < steps; t += LANES) {
                v n = (LOAD(in + t) - mean) * r, u = n * gain + shift, density;
                v below = normal(u, &density), slope = below + u * density;
                STORE(in + t, u * below);
                STORE(rise + t, slope);
                STORE(scaled + t, slope * n);
            }
            for (long p = 0; p < w->n_patches; p++) { /* as torch's adaptive_avg_pool1d */
                long t = p * w->n_times / w->n_patches;
                long end = up((p + 1) * w->n_times, w->n_patches) / w->n_patches;
                float part = 1.0f / (float)(end - t), last[3] = {0};
                v sums[3] = {{0}};
                for (; t + LANES <= end; t += LANES)
                    for (int i = 0; i < 3; i++) sums[i] += LOAD(rows + i * steps + t);
                for (; t < end; t++)
                    for (int i = 0; i < 3; i++) last[i] += rows[i * steps + t];
                long at = (b * w->n_patches + p) * maps + m;
                w->pooled[at] = (total(sums[0]) + last[0]) * part;
                if (!w->slope) continue;
                w->slope[at] = (total(sums[1]) + last[1]) * part;
                w->scaled_slope[at] = (total(sums[2]) + last[2]) * part;
            }
        }
    free(rows);
    return NULL;
}

/* Gradients of mix and of taps, window by window, from those of pooled means. `mean_slope` is
 * (2, n_maps): what batch norm takes off each value's gradient, and off it times its n. */
static void *stem_back_part(void *given) {
    Work *w = given;
    Room r;
    if (open_room(&r, w)) return (void *)1;
    long maps = w->n_maps, n_times = w->n_times;
    float *g = r.g + r.ahead;
    for (long b = w->first; b < w->last; b++) {
        take_window(&r, w, b);
        mixed(r.mix, r.maps, r.chans, r.x, r.steps, r.steps, r.y + r.ahead, r.length);
        for (long m = 0; m < maps; m++) {
            float mean = w->norm[m], inverse = w->norm[maps + m];
            float gain = w->norm[2 * maps + m], shift = w->norm[3 * maps + m];
            float off = w->mean_slope[m], scaled_off = w->mean_slope[maps + m];
            memset(g, 0, n_times * sizeof(float));
            for (long p = 0; p < w->n_patches; p++) {
                long start = p * n_times / w->n_patches;
                long end = up((p + 1) * n_times, w->n_patches) / w->n_patches;
                float part = w->gpooled[(b * w->n_patches + p) * maps + m] / (float)(end - start);
                for (long t = start; t < end; t++) g[t] += part;
            }
            memcpy(r.gy, w->z + (b * maps + m) * n_times, n_times * sizeof(float));
            for (long t = 0; t < n_times; t += LANES) {
                v n = (LOAD(r.gy + t) - mean) * inverse, u = n * gain + shift, density;
                v below = normal(u, &density);
                v gu = LOAD(g + t) * (below + u * density) - off - n * scaled_off;
                STORE(g + t, gu * (gain * inverse));
            }
            for (long t = n_times; t < up(n_times, LANES); t++) g[t] = 0.0f;
            const float *y = r.y + m * r.length + r.ahead;
            lagged(g, y - w->n_taps / 2, n_times, w->n_taps, r.gtaps);
            memcpy(w->gtaps + (b * maps + m) * w->n_taps, r.gtaps, w->n_taps * sizeof(float));
            turn(&r, w->taps + m * w->n_taps, w->n_taps, 0);
            filtered(r.turned, w->n_taps, g - w->n_taps / 2, r.steps, r.gy + m * r.steps);
        }
        products(r.gy, r.maps, r.steps, r.x, r.chans, r.steps, r.steps, r.gmix, r.chans);
        for (long m = 0; m < maps; m++)
            memcpy(w->gmix + (b * maps + m) * (w->n_chans + 1), r.gmix + m * r.chans,
                   (w->n_chans + 1) * sizeof(float));
    }
    free(r.memory);
    return NULL;
}

/* --- mean over time of elu(conv(x)) ---------------------------------------------------------- */

static void partly(float *out, v x, long n) {
    if (n >= LANES) STORE(out, x);
    else for (long l = 0; l < n; l++) out[l] = x[l];
}

/* Of each signal and filter the mean of elu(z), in `pooled`; of s = exp(min(z, 0)), the slope of the
 * ELU, in `slope`; and of s times the value under each tap, in `scaled_slope`. `taps` is
 * (n_taps, n_filters), `scaled_slope` (n, n_taps, n_filters). Lanes are filters. */
static void *elu_part(void *given) {
    Work *w = given;
    enum { STEPS = 10 };
    long filters = up(w->n_maps, LANES), n_taps = up(w->n_taps, TAPS);
    long n_steps = (w->n_times - 1) / w->stride + 1, steps = up(n_steps, STEPS);
    long length = up(w->n_times + n_taps + (steps - n_steps + 1) * w->stride, LANES);
    long size = length + steps * LANES + (w->n_taps + 1) * filters;
    float *x = aligned_alloc(64, size * sizeof(float));
    if (!x) return (void *)1;
    float *slopes = x + length, *bias = slopes + steps * LANES, *taps = bias + filters;
    memset(x, 0, size * sizeof(float));
    memcpy(bias, w->bias, w->n_maps * sizeof(float));
    for (long k = 0; k < w->n_taps; k++)
        memcpy(taps + k * filters, w->taps + k * w->n_maps, w->n_maps * sizeof(float));
    for (long i = w->first; i < w->last; i++) {
        memcpy(x + w->n_taps / 2, w->x + i * w->n_times, w->n_times * sizeof(float));
        for (long f = 0; f < filters; f += LANES) {
            v above = {0}, sum = {0}, zero = {0};
            long at = i * w->n_maps + f, there = w->n_maps - f;
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
            partly(w->pooled + at, above * part + (sum * part - 1.0f), there);
            for (long k = 0; w->scaled_slope && k < n_taps; k += TAPS) {
                v sums[TAPS] = {{0}};
                for (long t = 0; t < n_steps; t++) {
                    v s = LOAD(slopes + t * LANES);
                    for (int j = 0; j < TAPS; j++) sums[j] += x[t * w->stride + k + j] * s;
                }
                for (int j = 0; j < TAPS && k + j < w->n_taps; j++)
                    partly(w->scaled_slope + (i * w->n_taps + k + j) * w->n_maps + f,
                           sums[j] * part, there);
            }
        }
    }
    free(x);
    return NULL;
}

/* --- from outside ---------------------------------------------------------------------------- */

static int share(const Work *whole, long n_threads, void *(*part)(void *)) {
    Work work[MOST];
    pthread_t threads[MOST];
    int started[MOST] = {0}, failed = 0;
    if (n_threads > MOST) n_threads = MOST;
    if (n_threads > whole->n) n_threads = whole->n;
    for (long i = n_threads - 1; i >= 0; i--) {
        work[i] = *whole;
        work[i].first = whole->n * i / n_threads;
        work[i].last = whole->n * (i + 1) / n_threads;
        if (i) started[i] = pthread_create(&threads[i], NULL, part, &work[i]) == 0;
        else failed = part(&work[i]) != NULL;
    }
    for (long i = 1; i < n_threads; i++) {
        void *result = NULL;
        if (started[i]) pthread_join(threads[i], &result);
        else result = part(&work[i]);
        failed |= result != NULL;
    }
    return failed;
}

#define SIZES long n, long n_chans, long n_times, long n_maps, long n_taps, long n_patches
#define SIZED .n = n, .n_chans = n_chans, .n_times = n_times, .n_maps = n_maps, .n_taps = n_taps, \
              .n_patches = n_patches

int window_moments(long n, long n_chans, long n_times, const float *x, float *mean, float *scatter,
                   long n_threads) {
    Work w = {.n = n, .n_chans = n_chans, .n_times = n_times, .n_maps = n_chans + 1, .n_taps = 1,
              .x = x, .mean = mean, .scatter = scatter};
    return share(&w, n_threads, moments_part);
}

int stem_forward(SIZES, const float *x, const float *mix, const float *taps, float *z, float *mean,
                 float *scatter, long n_threads) {
    Work w = {SIZED, .x = x, .mix = mix, .taps = taps, .z = z, .mean = mean, .scatter = scatter};
    return share(&w, n_threads, stem_part);
}

int stem_pool(SIZES, const float *z, const float *norm, float *pooled, float *slope,
              float *scaled_slope, long n_threads) {
    Work w = {SIZED, .z = (float *)z, .norm = norm, .pooled = pooled, .slope = slope,
              .scaled_slope = scaled_slope};
    return share(&w, n_threads, pool_part);
}

int stem_backward(SIZES, const float *x, const float *mix, const float *taps, const float *z,
                  const float *norm, const float *gpooled, const float *mean_slope, float *gmix,
                  float *gtaps, long n_threads) {
    Work w = {SIZED, .x = x, .mix = mix, .taps = taps, .z = (float *)z, .norm = norm,
              .gpooled = gpooled, .mean_slope = mean_slope, .gmix = gmix, .gtaps = gtaps};
    return share(&w, n_threads, stem_back_part);
}

int elu_mean_forward(long n, long n_times, long n_filters, long n_taps, long stride, const float *x,
                     const float *taps, const float *bias, float *mean, float *slope,
                     float *tap_slope, long n_threads) {
    Work w = {.n = n, .n_times = n_times, .n_maps = n_filters, .n_taps = n_taps, .stride = stride,
              .x = x, .taps = taps, .bias = bias, .pooled = mean, .slope = slope,
              .scaled_slope = tap_slope};
    return share(&w, n_threads, elu_part);
}
