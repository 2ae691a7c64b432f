/* The stem of a convolutional decoder, forward and backward.
 *
 * What is summed over windows is given back window by window, so that sums do not depend on the
 * number of threads. A convolution over time is a product with blocks of a Toeplitz matrix: a vector
 * of its row is loaded once for TILE blocks of the signal, each with one value that is the same in
 * all lanes. */
#include "vectors.h"

enum { ROWS = 4 }; /* of a product, at a time */

typedef struct {
    long n, n_chans, n_times, n_maps, n_taps, n_patches;
    const float *x, *mix, *taps, *norm, *gpooled, *mean_slope;
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
static int moments_part(const void *given, long first, long last) {
    const Work *w = given;
    Room r;
    if (open_room(&r, w)) return 1;
    for (long b = first; b < last; b++) {
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
    return 0;
}

/* z = filters(mix(x)), and of each of its rows the mean and the sum of squares around it. */
static int stem_part(const void *given, long first, long last) {
    const Work *w = given;
    Room r;
    if (open_room(&r, w)) return 1;
    for (long b = first; b < last; b++) {
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
    return 0;
}

/* Of each patch the mean of gelu(gain * n + shift), n = (z - mean) / sd; of its slope; and of its
 * slope times n. `norm` is (4, n_maps): mean, 1 / sd, gain, shift. */
static int pool_part(const void *given, long first, long last) {
    const Work *w = given;
    long steps = up(w->n_times, LANES), maps = w->n_maps;
    float *rows = aligned_alloc(64, 3 * steps * sizeof(float)), *in = rows + 0;
    if (!rows) return 1;
    float *rise = rows + steps, *scaled = rows + 2 * steps;
    for (long b = first; b < last; b++)
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
    return 0;
}

/* Gradients of mix and of taps, window by window, from those of pooled means. `mean_slope` is
 * (2, n_maps): what batch norm takes off each value's gradient, and off it times its n. */
static int stem_back_part(const void *given, long first, long last) {
    const Work *w = given;
    Room r;
    if (open_room(&r, w)) return 1;
    long maps = w->n_maps, n_times = w->n_times;
    float *g = r.g + r.ahead;
    for (long b = first; b < last; b++) {
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
            float *row = r.gy + m * r.steps; /* z, and in its place the gradient of y */
            memcpy(row, w->z + (b * maps + m) * n_times, n_times * sizeof(float));
            for (long t = 0; t < n_times; t += LANES) {
                v n = (LOAD(row + t) - mean) * inverse, u = n * gain + shift, density;
                v below = normal(u, &density);
                v gu = LOAD(g + t) * (below + u * density) - off - n * scaled_off;
                STORE(g + t, gu * (gain * inverse));
            }
            for (long t = n_times; t < up(n_times, LANES); t++) g[t] = 0.0f;
            const float *y = r.y + m * r.length + r.ahead;
            lagged(g, y - w->n_taps / 2, n_times, w->n_taps, r.gtaps);
            memcpy(w->gtaps + (b * maps + m) * w->n_taps, r.gtaps, w->n_taps * sizeof(float));
            turn(&r, w->taps + m * w->n_taps, w->n_taps, 0);
            filtered(r.turned, w->n_taps, g - w->n_taps / 2, r.steps, row);
        }
        products(r.gy, r.maps, r.steps, r.x, r.chans, r.steps, r.steps, r.gmix, r.chans);
        for (long m = 0; m < maps; m++)
            memcpy(w->gmix + (b * maps + m) * (w->n_chans + 1), r.gmix + m * r.chans,
                   (w->n_chans + 1) * sizeof(float));
    }
    free(r.memory);
    return 0;
}

/* --- from outside ---------------------------------------------------------------------------- */

#define SIZES long n, long n_chans, long n_times, long n_maps, long n_taps, long n_patches
#define SIZED .n = n, .n_chans = n_chans, .n_times = n_times, .n_maps = n_maps, .n_taps = n_taps, \
              .n_patches = n_patches

int window_moments(long n, long n_chans, long n_times, const float *x, float *mean, float *scatter,
                   long n_threads) {
    Work w = {.n = n, .n_chans = n_chans, .n_times = n_times, .n_maps = n_chans + 1, .n_taps = 1,
              .x = x, .mean = mean, .scatter = scatter};
    return share(moments_part, &w, n, n_threads);
}

int stem_forward(SIZES, const float *x, const float *mix, const float *taps, float *z, float *mean,
                 float *scatter, long n_threads) {
    Work w = {SIZED, .x = x, .mix = mix, .taps = taps, .z = z, .mean = mean, .scatter = scatter};
    return share(stem_part, &w, n, n_threads);
}

int stem_pool(SIZES, float *z, const float *norm, float *pooled, float *slope,
              float *scaled_slope, long n_threads) {
    Work w = {SIZED, .z = z, .norm = norm, .pooled = pooled, .slope = slope,
              .scaled_slope = scaled_slope};
    return share(pool_part, &w, n, n_threads);
}

int stem_backward(SIZES, const float *x, const float *mix, const float *taps, float *z,
                  const float *norm, const float *gpooled, const float *mean_slope, float *gmix,
                  float *gtaps, long n_threads) {
    Work w = {SIZED, .x = x, .mix = mix, .taps = taps, .z = z, .norm = norm, .gpooled = gpooled,
              .mean_slope = mean_slope, .gmix = gmix, .gtaps = gtaps};
    return share(stem_back_part, &w, n, n_threads);
}
