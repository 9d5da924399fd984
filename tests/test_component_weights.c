/*
 * Damaged weights as the models' own loaders see them: each takes every tensor that its model has, under the
 * right name and in the right shape, and says which one is wrong.
 */
#include "weights_support.h"

#include "ref/text_encoder.h"
#include "ref/unet.h"
#include "ref/vae.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *model, *component, *variant, *file;
} components[] = {
    {"tiny-sd", "text_encoder", NULL, "model.safetensors"},
    {"tiny-sd", "unet", NULL, "diffusion_pytorch_model.safetensors"},
    {"tiny-sd", "vae", NULL, "diffusion_pytorch_model.safetensors"},
    {"tiny-sd21v", "unet", NULL, "diffusion_pytorch_model.safetensors"},
    {"tiny-sdxl", "text_encoder_2", NULL, "model.safetensors"},
    {"tiny-sdxl", "unet", NULL, "diffusion_pytorch_model.safetensors"},
    {"tiny-sdxl-fp16", "text_encoder", "fp16", "model.fp16.safetensors"},
    {"tiny-sdxl-fp16", "vae", "fp16", "diffusion_pytorch_model.fp16.safetensors"},
};
#define COMPONENTS ((int)(sizeof components / sizeof components[0]))

static enum status open_component(
    const struct checkpoint *checkpoint, const char *name, const char *variant, struct error *error)
{
    struct unet *unet = NULL;
    struct vae *vae = NULL;
    struct text_encoder *encoder = NULL;
    enum status status;
    if (strcmp(name, "unet") == 0)
        status = unet_open(checkpoint, variant, &unet, error);
    else if (strcmp(name, "vae") == 0)
        status = vae_open(checkpoint, variant, &vae, error);
    else
        status = text_encoder_open(checkpoint, name, variant, &encoder, error);
    unet_free(unet);
    vae_free(vae);
    text_encoder_free(encoder);
    return status;
}

/* Tensors that a text-to-image run has no use for: the autoencoder's encoder, CLIP's list of positions. */
static bool is_unused(const char *component, const char *name)
{
    if (strcmp(component, "vae") == 0)
        return fnmatch("encoder.*", name, 0) == 0 || fnmatch("quant_conv.*", name, 0) == 0;
    return fnmatch("*.position_ids", name, 0) == 0;
}

/* Of every seventeen tensors one is dropped, the next gets another shape, the next an infinity. */
START_TEST(damage_is_named)
{
    enum { STRIDE = 17 };
    static const enum change changes[] = {DROP, RESHAPE, POISON};
    const char *component = components[_i].component, *variant = components[_i].variant;
    const char *golden = golden_path("models/%s/%s/%s", components[_i].model, component, components[_i].file);
    struct tensor_set *whole = open_set(golden);
    struct checkpoint checkpoint = open_checkpoint(copy_model(components[_i].model));
    const char *path = path_in(checkpoint.folder, "%s/%s", component, components[_i].file);
    size_t size, damaged = 0;
    unsigned char *bytes = read_bytes(golden, &size);

    struct error error = {""};
    ck_assert_msg(open_component(&checkpoint, component, variant, &error) == STATUS_OK, "%s", error.message);
    for (size_t i = 0; i < tensor_set_count(whole); i++) {
        if (i % STRIDE >= sizeof changes / sizeof changes[0]) continue;
        enum change change = changes[i % STRIDE];
        const char *name = tensor_set_name(whole, i);
        uint64_t infinity = tensor_set_at(whole, i)->dtype == DTYPE_F16 ? 0x7c00 : 0x7f800000;
        change_file(path, name, change, DTYPE_F32, infinity);
        enum status status = open_component(&checkpoint, component, variant, &error);
        if (is_unused(component, name))
            ck_assert_msg(status == STATUS_OK, "%s: %s", name, error.message);
        else
            expect_error(status, STATUS_BAD_INPUT, &error, path, name, NULL);
        damaged++;
        write_bytes(path, bytes, size);
    }
    ck_assert_uint_ge(damaged, 5);
    change_file(path, tensor_set_name(whole, 0), ADD, DTYPE_F32, 0);
    enum status status = open_component(&checkpoint, component, variant, &error);
    expect_error(status, STATUS_BAD_INPUT, &error, path, "surplus.weight", NULL);
    free(bytes);
    checkpoint_close(&checkpoint);
    tensor_set_free(whole);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("component weights");
    TCase *cases = tcase_create("damage");
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, make_test_folder, drop_test_folder);
    tcase_add_loop_test(cases, damage_is_named, 0, COMPONENTS);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
