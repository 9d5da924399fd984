/*
 * Architectures: what a checkpoint of one is made of, without its weights. Those of configs/architectures/
 * are compiled into the program under their files' names ("sdxl"); others come from a file of the same form:
 *
 *     description             one line
 *     model_index             model_index.json
 *     scheduler               scheduler/scheduler_config.json
 *     tokenizer[_2]           {"pad_token": ...}; the rest of a tokenizer is the same in all (synth.h)
 *     text_encoder[_2], unet, vae     each one's config.json
 */
#ifndef REF_ARCHITECTURE_H
#define REF_ARCHITECTURE_H

#include "checkpoint.h"
#include "tensor_set.h"

#include "sched/json.h"

/* The files of configs/architectures/, in the order of their names; ends with a NULL. Generated
 * (Makefile). */
struct architecture_text {
    const char *name, *json;
};
extern const struct architecture_text architecture_texts[];

struct text_encoder; /* text_encoder.h, unet.h, vae.h */
struct unet;
struct vae;

struct architecture {
    char *name; /* as it was asked for */
    cJSON *json;
};

/* `name` is one of the names above, or the path of a file, which ends in ".json". */
enum status architecture_open(const char *name, struct architecture *architecture, struct error *error);
void architecture_close(struct architecture *architecture); /* accepts one that is all zero */

/* Its one line; empty where it has none. */
const char *architecture_description(const struct architecture *architecture);
/* The part ("unet") as a JSON object; NULL where the architecture has none. */
const cJSON *architecture_part(const struct architecture *architecture, const char *part);
/* Whether the second text encoder and tokenizer are there. */
bool architecture_is_xl(const struct architecture *architecture);

/* The parts that have weights, in the order in which a run uses them. */
#define ARCHITECTURE_MODELS 4
extern const char *const architecture_models[ARCHITECTURE_MODELS];

/* A model as `maker` makes its weights; of the autoencoder, the decoder. `part` is "text_encoder" or
 * "text_encoder_2". */
enum status architecture_text_encoder(const struct architecture *architecture, const char *part,
    const struct weights_maker *maker, struct text_encoder **out, struct error *error);
enum status architecture_unet(const struct architecture *architecture, const struct weights_maker *maker,
    struct unet **out, struct error *error);
enum status architecture_vae(const struct architecture *architecture, const struct weights_maker *maker,
    struct vae **out, struct error *error);

/* Loads `part` as `maker` makes its weights: every tensor that a published checkpoint holds of it is made
 * once, the autoencoder's encoder too, which no run takes. What is loaded is thrown away. */
enum status architecture_visit(const struct architecture *architecture, const char *part,
    const struct weights_maker *maker, struct error *error);

/* The tensors of `part` in the order of architecture_visit(), all of this type and without data: "F32". */
enum status architecture_tensors(const struct architecture *architecture, const char *part, enum dtype dtype,
    struct tensor_set **out, struct error *error);

#endif
