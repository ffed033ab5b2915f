// torus.c: a chrome torus turns over a neon grid at dusk, ray-marched into the terminal.
//
// Two pixels share a character cell (an upper half block with its own foreground and background), in 24-bit colour;
// --plain, or the customary NO_COLOR variable, draws with letters instead and moves no cursor, for pipes and tests.
// A frame depends on its number and the size alone, never on the clock: the same arguments print the same bytes on
// every engine. The clock only holds an animation to --fps and fills the line that closes one, on stderr.
//
// Nothing here allocates: one frame's text is built in a static buffer and leaves in one write.

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_COLS = 320, MAX_ROWS = 160, MAX_FRAMES = 100000, TURN = 60 /* frames in one turn */ };

// ------------------------------------------------------------------ vectors

typedef struct { float x, y, z; } vec;

static inline vec v(float x, float y, float z) { return (vec){x, y, z}; }
static inline vec add(vec a, vec b) { return v(a.x + b.x, a.y + b.y, a.z + b.z); }
static inline vec sub(vec a, vec b) { return v(a.x - b.x, a.y - b.y, a.z - b.z); }
static inline vec scale(vec a, float k) { return v(a.x * k, a.y * k, a.z * k); }
static inline float dot(vec a, vec b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
static inline vec unit(vec a) { return scale(a, 1.0f / sqrtf(dot(a, a))); }
static inline vec mix(vec a, vec b, float t) { return add(scale(a, 1 - t), scale(b, t)); }
static inline vec mirror(vec d, vec n) { return sub(d, scale(n, 2 * dot(d, n))); }
static inline float clamp(float x, float lo, float hi) { return fminf(fmaxf(x, lo), hi); }
static inline float smooth(float lo, float hi, float x)
{
    float t = clamp((x - lo) / (hi - lo), 0, 1);
    return t * t * (3 - 2 * t);
}

// ------------------------------------------------------------------ scene

static const float RING = 1.0f, TUBE = 0.40f, BEAD = 0.34f, REACH = 2.05f /* encloses ring, tube and bead */;
static const vec CENTRE = {0, 0.42f, 0}, EYE = {0, 0.55f, -4.3f};
static const float FLOOR = -1.15f;
static const vec SUN = {0, 0.092f, 0.9957f};

// The object turns; the world does not. Its basis (rows) takes world directions into object space.
static struct { vec x, y, z, bead; float grid; } now;

static void set_frame(int frame)
{
    float a = 6.2831853f * (float)(frame % TURN) / TURN, cb = cosf(a), sb = sinf(a);
    float tilt = 1.05f + 0.35f * sinf(a), ct = cosf(tilt), st = sinf(tilt);
    now.x = v(cb, 0, sb);
    now.y = v(-st * sb, ct, st * cb);
    now.z = v(-ct * sb, -st, ct * cb);
    // The bead threads the ring: a circle through the hole and around the tube.
    float p = 2 * a;
    now.bead = v(RING * (1 - cosf(p)) * 0.92f, 0.92f * RING * sinf(p), 0);
    now.grid = (float)(frame % TURN) / TURN * 6.0f;
}

static inline vec to_object(vec a) { return v(dot(now.x, a), dot(now.y, a), dot(now.z, a)); }
static inline vec to_world(vec a)
{
    return add(add(scale(now.x, a.x), scale(now.y, a.y)), scale(now.z, a.z));
}

// Signed distance to ring and bead, melted into one where they come close.
static inline float distance_to(vec p)
{
    float q = sqrtf(p.x * p.x + p.z * p.z) - RING;
    float ring = sqrtf(q * q + p.y * p.y) - TUBE;
    vec b = sub(p, now.bead);
    float bead = sqrtf(dot(b, b)) - BEAD;
    float h = fmaxf(0.35f - fabsf(ring - bead), 0) * (1 / 0.35f);
    return fminf(ring, bead) - h * h * (0.25f * 0.35f);
}

// Where the ray from `o` along the unit `d` (object space) meets the object; negative if it does not.
static float march(vec o, vec d)
{
    float b = dot(o, d), c = dot(o, o) - REACH * REACH, disc = b * b - c;
    if (disc <= 0) return -1;
    float root = sqrtf(disc), t = fmaxf(-b - root, 0), end = -b + root;
    for (int i = 0; i < 48 && t < end; i++) {
        float step = distance_to(add(o, scale(d, t)));
        if (step < 0.004f) return t;
        t += step;
    }
    return -1;
}

static vec normal_at(vec p)
{
    const float e = 0.003f;
    float a = distance_to(v(p.x + e, p.y - e, p.z - e)), b = distance_to(v(p.x - e, p.y - e, p.z + e));
    float c = distance_to(v(p.x - e, p.y + e, p.z - e)), d = distance_to(v(p.x + e, p.y + e, p.z + e));
    return unit(v(a - b - c + d, -a - b + c + d, -a + b - c + d));
}

// ------------------------------------------------------------------ light

static float star(vec d)
{
    // A lattice over the sky; one cell in nineteen holds a star, at a place of its own.
    float s = 34 / (fabsf(d.z) + 0.25f), x = d.x * s, y = d.y * s, fx = floorf(x), fy = floorf(y);
    uint32_t h = (uint32_t)(int32_t)fx * 0x9E3779B1u ^ (uint32_t)(int32_t)fy * 0x85EBCA77u;
    h = (h ^ h >> 15) * 0x2C1B3C6Du;
    h ^= h >> 13;
    if (h % 19) return 0;
    float cx = x - fx - 0.2f - 0.6f * (float)(h >> 8 & 255) / 255, cy = y - fy - 0.2f - 0.6f * (float)(h >> 16 & 255) / 255;
    return (0.3f + 0.7f * (float)(h >> 24) / 255) * smooth(0.38f, 0.0f, sqrtf(cx * cx + cy * cy));
}

static vec sky(vec d)
{
    float up = fmaxf(d.y, 0);
    vec c = mix(v(0.95f, 0.22f, 0.32f), v(0.30f, 0.05f, 0.34f), smooth(0.0f, 0.22f, up));
    c = mix(c, v(0.018f, 0.014f, 0.075f), smooth(0.12f, 0.62f, up));
    float toward = dot(d, SUN);
    c = add(c, scale(v(1.0f, 0.28f, 0.30f), 0.55f * smooth(0.90f, 1.0f, toward))); // haze around the sun
    float disc = 0;
    if (d.z > 0) {
        float x = d.x / d.z, y = d.y / d.z - SUN.y / SUN.z;
        disc = smooth(0.325f, 0.305f, sqrtf(x * x + y * y));
        if (disc > 0) {
            float level = (0.31f - y) / 0.62f; // 0 at the top of the disc, 1 at its foot
            float band = level * 9 - floorf(level * 9);
            float cut = level > 0.42f ? smooth(0, 0.12f, band - 0.72f * (level - 0.30f)) : 1;
            c = mix(c, mix(v(1.0f, 0.86f, 0.28f), v(1.0f, 0.10f, 0.42f), clamp(level * 1.15f, 0, 1)), disc * cut);
        }
    }
    if (disc == 0 && up > 0.1f) {
        float s = star(d) * smooth(0.1f, 0.3f, up);
        c = add(c, v(s, s, s));
    }
    return c;
}

static float line(float x, float width)
{
    float off = (x - floorf(x + 0.5f)) / width;
    return 1 / (1 + off * off * off * off);
}

// The floor where the ray from `o` along `d` meets it. A line is never thinner than the patch of floor that a pixel
// covers, which grows with distance and, by `spread`, with the curvature of a mirror on the way: blur, not flicker.
static vec ground(vec o, vec d, float spread)
{
    float t = (FLOOR - o.y) / d.y;
    vec p = add(o, scale(d, t));
    float far = t * 0.09f, across = 0.03f + 0.009f * spread * t, along = across + 0.0042f * spread * t * t;
    float lit = fmaxf(line(p.x * 0.9f, across) * fminf(1, 0.16f / across),
                      line((p.z + now.grid) * 0.9f, along) * fminf(1, 0.16f / along));
    float fade = 1 / (1 + far * far);
    // The object's shadow, from a light overhead: how near the vertical through this point passes to it.
    float sx = p.x - CENTRE.x, sz = p.z - CENTRE.z, under = sx * sx + sz * sz;
    float shade = 0.35f + 0.65f * smooth(0.3f, 3.2f, under);
    vec floor_colour = mix(v(0.03f, 0.008f, 0.06f), v(0.16f, 0.03f, 0.16f), smooth(0.4f, 1.6f, far));
    vec c = add(scale(floor_colour, shade), scale(v(0.12f, 0.85f, 1.0f), lit * fade * (0.55f + 0.45f * shade)));
    return mix(c, v(0.95f, 0.22f, 0.32f), smooth(0.9f, 4.5f, far));
}

static vec reflected(vec o, vec d) { return d.y < -0.003f ? ground(o, d, 9) : sky(d); }

static vec chrome(vec o, vec d, float t)
{
    vec p = add(to_object(sub(o, CENTRE)), scale(to_object(d), t));
    vec n = to_world(normal_at(p)), r = mirror(d, n), at = add(o, scale(d, t));
    float facing = clamp(-dot(d, n), 0, 1), rim = (1 - facing) * (1 - facing);
    vec tint = mix(v(0.62f, 0.66f, 0.98f), v(1.0f, 0.92f, 0.95f), rim);
    vec seen = reflected(at, r);
    vec c = v(seen.x * tint.x, seen.y * tint.y, seen.z * tint.z);
    float lamp = fmaxf(dot(r, v(-0.48f, 0.80f, -0.36f)), 0), l2 = lamp * lamp, l4 = l2 * l2, l16 = l4 * l4 * l4 * l4;
    c = add(c, scale(v(1, 1, 1), 0.95f * l16 * l4));
    c = add(c, scale(v(0.10f, 0.13f, 0.30f), fmaxf(n.y, 0)));
    return add(c, scale(v(1.0f, 0.25f, 0.55f), 0.45f * rim));
}

static vec colour_along(vec o, vec d)
{
    float t = march(to_object(sub(o, CENTRE)), to_object(d));
    if (t >= 0) return chrome(o, d, t);
    if (d.y >= -0.003f) return sky(d);
    vec c = ground(o, d, 1);
    // The floor is polished: it shows the object, faintly, upside down.
    vec p = add(o, scale(d, (FLOOR - o.y) / d.y)), r = v(d.x, -d.y, d.z);
    float u = march(to_object(sub(p, CENTRE)), to_object(r));
    if (u >= 0) c = add(scale(c, 0.55f), scale(chrome(p, r, u), 0.38f));
    return c;
}

// ------------------------------------------------------------------ picture

static uint8_t picture[2 * MAX_ROWS][MAX_COLS][3];

static uint8_t channel(float x)
{
    x = fmaxf(x, 0);
    x = x / (1 + 0.22f * x); // a soft shoulder, so that highlights keep their hue
    return (uint8_t)(255 * clamp(sqrtf(x) * 1.06f, 0, 1) + 0.5f);
}

static void render(int cols, int rows, int samples)
{
    int height = 2 * rows;
    float unit_size = 2.0f / (float)height, zoom = 1.62f;
    if (cols < height) unit_size = 2.0f / (float)cols;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < cols; x++) {
            vec sum = v(0, 0, 0);
            for (int s = 0; s < samples * samples; s++) {
                float jx = ((float)(s % samples) + 0.5f) / (float)samples, jy = ((float)(s / samples) + 0.5f) / (float)samples;
                float px = ((float)x + jx - 0.5f * (float)cols) * unit_size;
                float py = (0.5f * (float)height - (float)y - jy) * unit_size;
                sum = add(sum, colour_along(EYE, unit(v(px, py - 0.03f, zoom))));
            }
            sum = scale(sum, 1.0f / (float)(samples * samples));
            uint8_t *out = picture[y][x];
            out[0] = channel(sum.x), out[1] = channel(sum.y), out[2] = channel(sum.z);
        }
}

// ------------------------------------------------------------------ text

static char text[MAX_COLS * MAX_ROWS * 44 + 4096];
static size_t length;

static void put(const char *s) { for (; *s; s++) text[length++] = *s; }

static void put_number(unsigned n)
{
    char digits[10];
    int k = 0;
    do digits[k++] = (char)('0' + n % 10); while (n /= 10);
    while (k) text[length++] = digits[--k];
}

static void put_colour(const char *kind, const uint8_t *c)
{
    put("\x1b["), put(kind), put(";2;");
    put_number(c[0]), put(";"), put_number(c[1]), put(";"), put_number(c[2]), put("m");
}

static void draw_colour(int cols, int rows)
{
    for (int y = 0; y < rows; y++) {
        const uint8_t *fg = NULL, *bg = NULL; // a colour is named only where it changes
        for (int x = 0; x < cols; x++) {
            const uint8_t *top = picture[2 * y][x], *low = picture[2 * y + 1][x];
            if (!fg || memcmp(fg, top, 3)) put_colour("38", top);
            if (!bg || memcmp(bg, low, 3)) put_colour("48", low);
            fg = top, bg = low;
            put("\xe2\x96\x80"); // U+2580, upper half block
        }
        put("\x1b[0m\n");
    }
}

static void draw_plain(int cols, int rows)
{
    static const char ramp[] = " .,:;-~=+*oxO%#&@";
    for (int y = 0; y < rows; y++) {
        size_t start = length;
        for (int x = 0; x < cols; x++) {
            const uint8_t *a = picture[2 * y][x], *b = picture[2 * y + 1][x];
            unsigned light = 30 * (a[0] + b[0]) + 59 * (a[1] + b[1]) + 11 * (a[2] + b[2]); // 0 ..= 51000
            light = light > 9000 ? light - 9000 : 0;
            unsigned step = light * (sizeof ramp - 1) / 33000;
            text[length++] = ramp[step < sizeof ramp - 1 ? step : sizeof ramp - 2];
        }
        while (length > start && text[length - 1] == ' ') length--;
        put("\n");
    }
}

static int send(int fd)
{
    for (size_t sent = 0; sent < length;) {
        ssize_t n = write(fd, text + sent, length - sent);
        if (n <= 0) return -1;
        sent += (size_t)n;
    }
    length = 0;
    return 0;
}

// ------------------------------------------------------------------ command

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int usage(void)
{
    put("usage: torus [--size COLSxROWS] [--frames N] [--from N] [--fps N] [--samples N] [--plain]\n"
        "  --size     in characters, 8x4 to 320x160; 64x30 unless told\n"
        "  --frames   how many to draw: 30, or 1 with --plain; a full turn has 60\n"
        "  --from     the first frame's number, 0 unless told\n"
        "  --fps      draw no faster than this, 0 for as fast as the engine can; 30 unless told\n"
        "  --samples  rays along each side of a pixel, 1 to 8; 2 unless told\n"
        "  --plain    letters instead of colours, frame after frame; NO_COLOR in the environment does the same\n");
    send(2);
    return 2;
}

// A decimal number at `*s`, which moves past it.
static int number(const char **s, int lo, int hi, int *out)
{
    const char *p = *s;
    int n = 0;
    if (*p < '0' || *p > '9') return 0;
    for (; *p >= '0' && *p <= '9'; p++)
        if ((n = 10 * n + (*p - '0')) > hi) return 0;
    *s = p, *out = n;
    return n >= lo;
}

// The option `name` and the number after it.
static int option(char **arg, const char *name, int lo, int hi, int *out)
{
    const char *value = arg[1]; // argv ends with a null pointer
    return !strcmp(*arg, name) && value && number(&value, lo, hi, out) && !*value;
}

int main(int argc, char **argv)
{
    const char *no_color = getenv("NO_COLOR");
    int plain = no_color && *no_color, cols = 64, rows = 30, frames = -1, from = 0, fps = 30, samples = 2;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--plain")) plain = 1;
        else if (option(argv + i, "--frames", 1, MAX_FRAMES, &frames)) i++;
        else if (option(argv + i, "--from", 0, MAX_FRAMES, &from)) i++;
        else if (option(argv + i, "--fps", 0, 1000, &fps)) i++;
        else if (option(argv + i, "--samples", 1, 8, &samples)) i++;
        else if (!strcmp(argv[i], "--size") && argv[i + 1]) {
            const char *value = argv[++i];
            if (!number(&value, 8, MAX_COLS, &cols) || *value++ != 'x') return usage();
            if (!number(&value, 4, MAX_ROWS, &rows) || *value) return usage();
        } else return usage();
    }
    if (frames < 0) frames = plain ? 1 : 30;

    double start = seconds(), drawing = 0;
    for (int f = 0; f < frames; f++) {
        double before = seconds();
        set_frame(from + f);
        render(cols, rows, samples);
        if (plain) {
            if (f) put("\n");
            draw_plain(cols, rows);
        } else {
            if (f) put("\x1b["), put_number((unsigned)rows), put("A");
            else put("\x1b[?25l"); // no cursor while the picture moves
            draw_colour(cols, rows);
            if (f == frames - 1) put("\x1b[?25h");
        }
        drawing += seconds() - before;
        if (send(1)) return 1;
        if (!plain && fps) {
            double wait = start + (double)(f + 1) / fps - seconds();
            if (wait > 0) {
                struct timespec t = {(time_t)wait, (long)((wait - (double)(time_t)wait) * 1e9)};
                nanosleep(&t, NULL);
            }
        }
    }
    if (!plain && frames > 1) {
        unsigned tenths = (unsigned)(1e4 * drawing / frames + 0.5); // of a millisecond
        put_number((unsigned)frames), put(" frames of "), put_number((unsigned)cols), put(" x "), put_number(2 * (unsigned)rows);
        put(" pixels: "), put_number(tenths / 10), put("."), put_number(tenths % 10), put(" ms each, ");
        put_number((unsigned)(frames / drawing)), put(" a second\n");
        send(2);
    }
    return 0;
}
