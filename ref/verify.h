/*
 * Another backend's trace, held against the models and the sampler stage by stage: what `plumb verify` does.
 *
 * Teacher forcing is one rule: the pipeline runs as it always does, and each value that it would trace is
 * first judged against the recorded one and then replaced by it. So every stage, and inside the models every
 * module, starts from *their* inputs, and one stage's error does not hide the next. It runs twice: in double,
 * which is the exact answer on these inputs, and in their precision, which shows how far from the exact
 * answer an implementation that has no fault must be: the floor. The verdict is how many floors they are
 * away.
 */
#ifndef REF_VERIFY_H
#define REF_VERIFY_H

#include "compare.h"
#include "kernels/number_format.h"

#include "pipeline.h"

enum verify_stage {
    VERIFY_TOKENS,       /* input_ids.*, negative_input_ids.* from the prompts */
    VERIFY_TEXT_ENCODER, /* act.text_encoder*.*, last_hidden_state.*, text_embeds.* */
    VERIFY_CONDITIONING, /* prompt_embeds, pooled, add_text_embeds, add_time_ids */
    VERIFY_SCHEDULE,     /* timesteps, sigmas, alphas_cumprod */
    VERIFY_NOISE,        /* init_noise, latents.init, step.NN.noise */
    VERIFY_MODEL_INPUT,  /* step.NN.model_input from the latents before */
    VERIFY_UNET,         /* act.unet.*, step.NN.noise_pred_uncond, step.NN.noise_pred_text */
    VERIFY_GUIDANCE,     /* step.NN.noise_pred from the two halves */
    VERIFY_STEP,         /* step.NN.latents, latents.final */
    VERIFY_DECODER,      /* vae_input, act.vae.*, image */
    VERIFY_PICTURE,      /* image_u8 from the image */
    VERIFY_STAGES
};
extern const char *const verify_stage_names[VERIFY_STAGES]; /* "tokens", "text encoder" ... */

enum verify_verdict {
    VERIFY_ROUNDING,  /* at most `rounding` floors from the exact answer */
    VERIFY_SUSPECT,   /* at most `wrong` floors */
    VERIFY_WRONG,     /* more, or not the same integers */
    VERIFY_NONFINITE, /* infinite or not a number where the exact answer is finite, or the other way round */
    VERIFY_SHAPE,     /* of another shape */
    VERIFY_UNCHECKED  /* recorded, but an input that it depends on is not: `reason` says which */
};
extern const char *const verify_verdict_names[]; /* "rounding" ... */

/* One recorded tensor. */
struct verify_row {
    const char *name;       /* ours: "step.03.noise_pred_text" */
    const char *their_name; /* the name in their files; the same where nothing was mapped */
    enum verify_stage stage;
    int step; /* of the loop, from 0; -1 outside it */
    enum verify_verdict verdict;
    const struct tensor *theirs; /* what they recorded, in our names and layout */
    struct difference error;     /* of theirs (a) from the exact answer (b) on their inputs */
    struct difference floor;     /* of a correct implementation in their precision from the same */
    double multiple;             /* how many floors the error is: what the verdict goes by */
    char *diagnosis;             /* "equals ours at timestep 980, not 981"; of a tensor that is rounding: why
                                    its floor is another than it seemed; NULL where none fits */
    char *reason;                /* of VERIFY_UNCHECKED and VERIFY_SHAPE; NULL otherwise */
    bool drifted;                /* `drift` is known: a free run was asked for and has this tensor */
    struct difference drift;     /* of theirs (a) from our own free run (b), in their precision */
};

struct verify_options {
    enum number_format their_format; /* f32, f16, bf16 or tf32: the precision of their operands and results */
    double rounding, wrong;          /* thresholds, in floors */
    bool prompt_unknown, seed_unknown; /* the recipe's stand only for something: what is computed from them
                                          is not checked, unless it is recorded */
    bool free_run;                     /* also run freely, for the drift */
    bool diagnose; /* look for the fault that explains the first wrong tensor of each stage */
    void (*progress)(void *context, const char *what, size_t done, size_t total); /* NULL: not called */
    void *progress_context;
};
extern const struct verify_options VERIFY_OPTIONS_DEFAULT;

struct verification {
    struct verify_row *rows; /* in the order in which the pipeline computes them */
    size_t count;
    const struct verify_row *first_wrong; /* the first that is wrong, not finite, or of another shape; NULL */
    size_t verdicts[VERIFY_UNCHECKED + 1]; /* how many rows have each */
};

/* Holds `theirs` (in our names: their_tensors.h) against the pipeline's run of `recipe`. Nothing of `theirs`
 * need be there: what is, is checked from the nearest inputs before it that are. The exact answers of tensors
 * that an HTML report shows can be asked for again with verify_recompute(). */
enum status verify(const struct pipeline *pipeline, const struct recipe *recipe,
    const struct tensor_set *theirs, const struct verify_options *options, struct verification *verification,
    struct warnings *warnings, struct error *error);
void verification_free(struct verification *verification); /* accepts an empty one */

/* Something done in another way: a fault, or a suspect (verify_variation.h). */
struct variation;

/* The value of the one tensor `name` on their inputs, in double, or with `rounded` in their precision; with
 * `variation` not NULL, as a pipeline with that fault computes it. Only the stage that makes it is run. Adds
 * it to `out` under its name. */
enum status verify_recompute(const struct pipeline *pipeline, const struct recipe *recipe,
    const struct tensor_set *theirs, const struct verify_options *options, const char *name, bool rounded,
    const struct variation *variation, struct tensor_set *out, struct warnings *warnings,
    struct error *error);

#endif
