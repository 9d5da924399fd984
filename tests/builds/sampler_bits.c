/*
 * The bits of the sampler: every case of golden/sched/ run in both arithmetics on drawn numbers, one line of
 * hashes a case. Two builds compute the same where they print the same (make check-builds).
 *
 *     sampler_bits CASE.json...
 */
#include "sched/plumb_sched.h"

#include <cjson/cJSON.h>

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 2, SIZE = 40, N = BATCH * SIZE };

/* FNV-1a over the bytes of what a run makes. */
struct hash {
    uint64_t value;
};

static void add(struct hash *hash, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++) hash->value = (hash->value ^ bytes[i]) * UINT64_C(0x100000001b3);
}

/* n numbers of the arithmetic's type. */
static void draw(plumb_generator *generator, enum plumb_arithmetic arithmetic, void *values, size_t n)
{
    if (arithmetic == PLUMB_F64)
        plumb_generator_normal_f64(generator, values, n);
    else
        plumb_generator_normal_f32(generator, values, n);
}

/* Runs all steps on drawn model outputs; a step that is refused adds its message to the hash. */
static void run(
    plumb_scheduler *s, enum plumb_arithmetic arithmetic, plumb_generator *generator, struct hash *hash)
{
    const size_t width = arithmetic == PLUMB_F64 ? sizeof(double) : sizeof(float);
    double sample[N], model_input[N], model_output[2 * N], noise[N],
        prev_sample[N]; /* room for either type */
    draw(generator, arithmetic, sample, N);
    plumb_scheduler_set_begin_index(s, 0);
    for (size_t i = 0; i < plumb_scheduler_count(s); i++) {
        const double t = plumb_scheduler_timesteps(s)[i];
        draw(generator, arithmetic, model_output, N);
        draw(generator, arithmetic, noise, N);
        plumb_scheduler_scale_model_input(s, t, sample, N, model_input);
        const struct plumb_step step = {t, model_output, SIZE, sample, BATCH, SIZE, noise};
        if (plumb_scheduler_step(s, &step, prev_sample, NULL) != PLUMB_OK) {
            const char *message = plumb_scheduler_message(s);
            add(hash, message, strlen(message));
            return;
        }
        memcpy(sample, prev_sample, N * width);
        add(hash, &t, sizeof t);
        add(hash, model_input, N * width);
        add(hash, sample, N * width);
    }
    for (size_t i = 0; i < plumb_scheduler_sigma_count(s); i++) {
        const double sigma = plumb_scheduler_sigma(s, i);
        add(hash, &sigma, sizeof sigma);
    }
}

/* The hash of one case; 0 where the case cannot be run. */
static uint64_t hash_case(const cJSON *json, enum plumb_arithmetic arithmetic)
{
    struct hash hash = {UINT64_C(0xcbf29ce484222325)};
    char message[PLUMB_MESSAGE_SIZE];
    char *config = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(json, "scheduler"));
    char *request = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(json, "set_timesteps"));
    char *options = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(json, "step_kwargs"));
    plumb_generator *generator = plumb_generator_create("numpy-pcg64", "1", NULL);
    plumb_scheduler *s = config ? plumb_scheduler_create(config, arithmetic, message) : NULL;
    if (s && generator && request && plumb_scheduler_set_timesteps(s, request) == PLUMB_OK &&
        (!options || plumb_scheduler_set_step_arguments(s, options) == PLUMB_OK))
        run(s, arithmetic, generator, &hash);
    else
        hash.value = 0;
    plumb_scheduler_free(s);
    plumb_generator_free(generator);
    cJSON_free(config);
    cJSON_free(request);
    cJSON_free(options);
    return hash.value;
}

static cJSON *read_case(const char *path)
{
    static char text[1 << 20];
    FILE *file = fopen(path, "rb");
    size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    text[size] = '\0';
    if (file) fclose(file);
    return cJSON_Parse(text);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        cJSON *json = read_case(argv[i]);
        if (!json) {
            fprintf(stderr, "%s: cannot be read\n", argv[i]);
            return EXIT_FAILURE;
        }
        printf("%-40s %016" PRIx64 " %016" PRIx64 "\n", argv[i], hash_case(json, PLUMB_DIFFUSERS),
            hash_case(json, PLUMB_F64));
        cJSON_Delete(json);
    }
    return EXIT_SUCCESS;
}
