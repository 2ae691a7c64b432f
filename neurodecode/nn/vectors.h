/* Vectors for kernels that go through windows or signals, and threads to share these out among.
 *
 * Vectors are those of GCC and Clang, which any processor is given its own instructions for. What is
 * made on the way stays in the cache of a core: a window or a signal is taken through all steps
 * before the next. */
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

typedef int Part(const void *work, long first, long last); /* 0 if it went well */
typedef struct {
    Part *part;
    const void *work;
    long first, last;
} Share;

static void *run_share(void *given) {
    Share *s = given;
    return s->part(s->work, s->first, s->last) ? given : NULL;
}

/* Share n windows out among threads; this one takes the first share. */
static int share(Part *part, const void *work, long n, long n_threads) {
    enum { MOST = 16 };
    Share shares[MOST];
    pthread_t threads[MOST];
    int started[MOST] = {0}, failed = 0;
    if (n_threads > MOST) n_threads = MOST;
    if (n_threads > n) n_threads = n;
    for (long i = n_threads - 1; i >= 0; i--) {
        shares[i] = (Share){part, work, n * i / n_threads, n * (i + 1) / n_threads};
        if (i) started[i] = pthread_create(&threads[i], NULL, run_share, &shares[i]) == 0;
        else failed = run_share(&shares[i]) != NULL;
    }
    for (long i = 1; i < n_threads; i++) {
        void *result = NULL;
        if (started[i]) pthread_join(threads[i], &result);
        else result = run_share(&shares[i]);
        failed |= result != NULL;
    }
    return failed;
}
