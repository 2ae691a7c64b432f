/* Membranes of leaky integrate-and-fire neurons over all steps, forward and backward.
 *
 * Arrays are (n_steps, n), parameters (period,) and repeat along n. A block of neurons is taken
 * through all steps before the next, so that what belongs to it stays in the cache; `n` is shared
 * out among threads. The backward pass computes a block's membranes again from its currents: that
 * is cheaper than to write them in the forward pass and to read them back. Compiled without
 * contraction of products and sums, so that spikes are those of the same operations in torch, bit
 * for bit. */
#include <pthread.h>
#include <stdlib.h>

enum { SOFT, HARD, NONE };
enum { ATAN, RECTANGLE, TRIANGLE, FAST_SIGMOID, GIVEN };

typedef struct {
    long n_steps, n, period, first, last; /* neurons first..last-1 are this thread's */
    int reset, detach, surrogate;
    float v_reset, sharpness, limit;
    const float *decay, *threshold;        /* (period,) */
    const float *x, *v0;                   /* (n_steps, n), (n,) */
    float *h, *s, *v_last;                 /* h may be NULL */
    const float *gs, *gh, *gv, *slope;     /* any of them may be NULL */
    float *gx, *gv0, *gdecay, *gthreshold; /* the last two, (n,), may be NULL */
} Work;

enum { WIDE = 1024, CACHED = 65536 }; /* neurons in a block; membranes of a block */

static long block_of(const Work *w) {
    long fit = CACHED / w->n_steps;
    return fit > WIDE ? WIDE : fit < 64 ? 64 : fit / 16 * 16;
}

static void fill(float *out, const float *in, long period, long start, long count) {
    for (long j = 0, k = start % period; j < count; j++) {
        out[j] = in[k];
        if (++k == period) k = 0;
    }
}

/* Membranes v before a step become h before the reset and v after it; spikes s. Any of h and s may
 * be NULL. One loop for each case: everything stays in registers. */
static inline void advance(const Work *w, const float *restrict x, const float *restrict d,
                           const float *restrict th, float *restrict v, float *restrict h,
                           float *restrict s, long m) {
    float r = w->v_reset;
#define STEP(SPIKED, KEEP, AFTER)                  \
    for (long j = 0; j < m; j++) {                 \
        float u = d[j] * v[j] + x[j];              \
        float fired = u >= th[j] ? 1.0f : 0.0f;    \
        SPIKED;                                    \
        KEEP;                                      \
        v[j] = AFTER;                              \
    }
#define CASES(AFTER)                               \
    if (s && h) STEP(s[j] = fired, h[j] = u, AFTER) \
    else if (s) STEP(s[j] = fired, , AFTER)        \
    else STEP(, h[j] = u, AFTER)
    (void)r;
    if (w->reset == SOFT) { CASES(u - th[j] * fired) }
    else if (w->reset == HARD) { CASES(u >= th[j] ? r : u) }
    else { CASES((fired = u)) }
#undef CASES
#undef STEP
}

static void *forward_part(void *given) {
    Work *w = given;
    float d[WIDE], th[WIDE], v[WIDE];
    for (long b = w->first; b < w->last; b += WIDE) {
        long m = w->last - b < WIDE ? w->last - b : WIDE;
        fill(d, w->decay, w->period, b, m);
        fill(th, w->threshold, w->period, b, m);
        for (long j = 0; j < m; j++) v[j] = w->v0 ? w->v0[b + j] : 0.0f;
        for (long t = 0; t < w->n_steps; t++) {
            long at = t * w->n + b;
            advance(w, w->x + at, d, th, v, w->h ? w->h + at : NULL, w->s + at, m);
        }
        for (long j = 0; j < m; j++) w->v_last[b + j] = v[j];
    }
    return NULL;
}

static void slopes(const Work *w, const float *restrict h, const float *restrict th, long at,
                   float *restrict out, long m) {
    float a = w->sharpness;
    switch (w->surrogate) {
    case ATAN: {
        float c = 1.57079632679489662f * a;
        for (long j = 0; j < m; j++) {
            float z = c * (h[j] - th[j]);
            out[j] = (0.5f * a) / (1.0f + z * z);
        }
        break;
    }
    case RECTANGLE:
        for (long j = 0; j < m; j++) {
            float u = h[j] - th[j];
            out[j] = (u < 0.0f ? -u : u) < 0.5f / a ? a : 0.0f;
        }
        break;
    case TRIANGLE:
        for (long j = 0; j < m; j++) {
            float u = h[j] - th[j];
            float z = 1.0f - a * (u < 0.0f ? -u : u);
            out[j] = a * (z > 0.0f ? z : 0.0f);
        }
        break;
    case FAST_SIGMOID:
        for (long j = 0; j < m; j++) {
            float u = h[j] - th[j];
            float z = 1.0f + a * (u < 0.0f ? -u : u);
            out[j] = 1.0f / (z * z);
        }
        break;
    default:
        for (long j = 0; j < m; j++) out[j] = w->slope[at + j];
    }
}

/* The gradient g of membranes after a reset becomes that of membranes before it. */
static void retreat(const Work *w, const float *restrict h, const float *restrict th,
                    const float *restrict sg, long at, float *restrict g, float *restrict gt,
                    long m) {
    const float *restrict gs = w->gs ? w->gs + at : NULL;
    float r = w->v_reset;
    if (w->detach && !w->gthreshold && gs) { /* as few operations as it takes */
        if (w->reset == HARD)
            for (long j = 0; j < m; j++)
                g[j] = (h[j] >= th[j] ? 0.0f : g[j]) + gs[j] * sg[j];
        else
            for (long j = 0; j < m; j++) g[j] += gs[j] * sg[j];
    } else {
        float keep = w->detach ? 0.0f : 1.0f;
        for (long j = 0; j < m; j++) {
            float fired = h[j] >= th[j] ? 1.0f : 0.0f;
            float through = gs ? gs[j] : 0.0f, own = g[j];
            if (w->reset == SOFT) {
                through = through - keep * th[j] * own;
                gt[j] -= own * fired;
            } else if (w->reset == HARD) {
                through = through + keep * (r - h[j]) * own;
                own = own * (1.0f - fired);
            }
            float rise = through * sg[j];
            gt[j] -= rise;
            g[j] = own + rise;
        }
    }
    if (w->gh)
        for (long j = 0; j < m; j++) g[j] += w->gh[at + j];
}

/* What `slopes` and `retreat` do for the usual net (arc tangent, detached reset, thresholds that do
 * not learn), in one loop; g ends as the gradient of the membranes after the step before. */
static void retreat_atan(const Work *w, const float *restrict h, const float *restrict d,
                         const float *restrict th, long at, float *restrict g, long m) {
    const float *restrict gs = w->gs + at;
    float *restrict gx = w->gx + at;
    float a = 0.5f * w->sharpness, c = 1.57079632679489662f * w->sharpness;
    if (w->reset == HARD)
        for (long j = 0; j < m; j++) {
            float u = h[j] - th[j], z = c * u;
            float own = (h[j] >= th[j] ? 0.0f : g[j]) + gs[j] * (a / (1.0f + z * z));
            gx[j] = own;
            g[j] = own * d[j];
        }
    else
        for (long j = 0; j < m; j++) {
            float u = h[j] - th[j], z = c * u;
            float own = g[j] + gs[j] * (a / (1.0f + z * z));
            gx[j] = own;
            g[j] = own * d[j];
        }
}

static void *backward_part(void *given) {
    Work *w = given;
    long size = block_of(w);
    int usual = w->surrogate == ATAN && w->detach && w->gs && !w->gh && !w->gdecay && !w->gthreshold;
    float d[WIDE], th[WIDE], v[WIDE], sg[WIDE], g[WIDE], gd[WIDE], gt[WIDE];
    /* membranes of the block before and after each reset; those after only if decay learns */
    float *h = malloc((w->gdecay ? 2 : 1) * w->n_steps * size * sizeof(float));
    if (!h) return (void *)1;
    float *after = w->gdecay ? h + w->n_steps * size : NULL;
    for (long b = w->first; b < w->last; b += size) {
        long m = w->last - b < size ? w->last - b : size;
        fill(d, w->decay, w->period, b, m);
        fill(th, w->threshold, w->period, b, m);
        for (long j = 0; j < m; j++) {
            v[j] = w->v0 ? w->v0[b + j] : 0.0f;
            g[j] = w->gv ? w->gv[b + j] : 0.0f;
            gd[j] = gt[j] = 0.0f;
        }
        for (long t = 0; t < w->n_steps; t++) {
            if (after) /* what this step began from */
                for (long j = 0; j < m; j++) after[t * size + j] = v[j];
            advance(w, w->x + t * w->n + b, d, th, v, h + t * size, NULL, m);
        }
        for (long t = w->n_steps - 1; t >= 0; t--) {
            long at = t * w->n + b;
            float *restrict gx = w->gx + at;
            if (usual) {
                retreat_atan(w, h + t * size, d, th, at, g, m);
                continue;
            }
            if (w->gs || !w->detach) slopes(w, h + t * size, th, at, sg, m);
            else for (long j = 0; j < m; j++) sg[j] = 0.0f;
            retreat(w, h + t * size, th, sg, at, g, gt, m);
            for (long j = 0; j < m; j++) gx[j] = g[j];
            if (after)
                for (long j = 0; j < m; j++) gd[j] += g[j] * after[t * size + j];
            for (long j = 0; j < m; j++) g[j] *= d[j];
        }
        if (w->gv0)
            for (long j = 0; j < m; j++) w->gv0[b + j] = g[j];
        if (w->gdecay)
            for (long j = 0; j < m; j++) w->gdecay[b + j] = gd[j];
        if (w->gthreshold)
            for (long j = 0; j < m; j++) w->gthreshold[b + j] = gt[j];
    }
    free(h);
    return NULL;
}

/* Whole thresholds of either sign that a running sum lets go of, at most `limit` a step. */
static void *carry_part(void *given) {
    Work *w = given;
    float th[WIDE], rest[WIDE], limit = w->limit;
    for (long b = w->first; b < w->last; b += WIDE) {
        long m = w->last - b < WIDE ? w->last - b : WIDE;
        fill(th, w->threshold, w->period, b, m);
        for (long j = 0; j < m; j++) rest[j] = w->v0 ? w->v0[b + j] : 0.0f;
        for (long t = 0; t < w->n_steps; t++) {
            const float *restrict x = w->x + t * w->n + b;
            float *restrict counts = w->s + t * w->n + b;
            for (long j = 0; j < m; j++) {
                float sum = rest[j] + x[j];
                float k = __builtin_truncf(sum / th[j]);
                k = k > limit ? limit : k < -limit ? -limit : k;
                rest[j] = sum - k * th[j];
                counts[j] = k;
            }
        }
        for (long j = 0; j < m; j++) w->v_last[b + j] = rest[j];
    }
    return NULL;
}

static int share(const Work *whole, int n_threads, void *(*part)(void *)) {
    enum { MOST = 16, WORTH = 1 << 19 }; /* a thread starts in the time of some 100,000 values */
    long worth = whole->n * whole->n_steps / WORTH;
    if (n_threads > worth) n_threads = (int)worth;
    if (n_threads > MOST) n_threads = MOST;
    if (n_threads < 1) n_threads = 1;
    Work work[MOST];
    pthread_t threads[MOST];
    int started[MOST] = {0}, failed = 0;
    for (int i = 0; i < n_threads; i++) {
        work[i] = *whole;
        work[i].first = whole->n * i / n_threads / 16 * 16; /* no two on one line of the cache */
        work[i].last = i + 1 == n_threads ? whole->n : whole->n * (i + 1) / n_threads / 16 * 16;
        if (i) started[i] = pthread_create(&threads[i], NULL, part, &work[i]) == 0;
    }
    failed |= part(&work[0]) != NULL;
    for (int i = 1; i < n_threads; i++) {
        void *result = NULL;
        if (started[i]) pthread_join(threads[i], &result);
        else result = part(&work[i]);
        failed |= result != NULL;
    }
    return failed;
}

int membrane_forward(long n_steps, long n, long period, int reset, float v_reset,
                     const float *x, const float *v0, const float *decay, const float *threshold,
                     float *h, float *s, float *v_last, int n_threads) {
    Work w = {.n_steps = n_steps, .n = n, .period = period, .reset = reset, .v_reset = v_reset,
              .x = x, .v0 = v0, .decay = decay, .threshold = threshold,
              .h = h, .s = s, .v_last = v_last};
    return share(&w, n_threads, forward_part);
}

int membrane_backward(long n_steps, long n, long period, int reset, float v_reset, int detach,
                      int surrogate, float sharpness, const float *slope, const float *x,
                      const float *v0, const float *decay, const float *threshold,
                      const float *gs, const float *gh, const float *gv,
                      float *gx, float *gv0, float *gdecay, float *gthreshold, int n_threads) {
    Work w = {.n_steps = n_steps, .n = n, .period = period, .reset = reset, .v_reset = v_reset,
              .detach = detach, .surrogate = surrogate, .sharpness = sharpness, .slope = slope,
              .x = x, .v0 = v0, .decay = decay, .threshold = threshold,
              .gs = gs, .gh = gh, .gv = gv, .gx = gx, .gv0 = gv0,
              .gdecay = gdecay, .gthreshold = gthreshold};
    return share(&w, n_threads, backward_part);
}

int carry_forward(long n_steps, long n, long period, float limit, const float *x, const float *rest,
                  const float *threshold, float *counts, float *last, int n_threads) {
    Work w = {.n_steps = n_steps, .n = n, .period = period, .limit = limit,
              .x = x, .v0 = rest, .threshold = threshold, .s = counts, .v_last = last};
    return share(&w, n_threads, carry_part);
}
