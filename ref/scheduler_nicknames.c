#include "scheduler_nicknames.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The table of diffusers' documentation ("Schedulers", api/schedulers/overview), and PLMS. */
static const struct {
    const char *nickname, *class_and_settings;
} nicknames[] = {
    {"dpm++2m", "DPMSolverMultistepScheduler"},
    {"dpm++2msde", "DPMSolverMultistepScheduler --set algorithm_type=sde-dpmsolver++"},
    {"dpm++3msde", "DPMSolverMultistepScheduler --set algorithm_type=sde-dpmsolver++ --set solver_order=3"},
    {"dpm++2s", "DPMSolverSinglestepScheduler"},
    {"dpm++sde", "DPMSolverSDEScheduler"},
    {"dpmsolver++", "DPMSolverMultistepScheduler"},
    {"dpmsolver",
        "DPMSolverMultistepScheduler --set algorithm_type=dpmsolver --set final_sigmas_type=sigma_min"},
    {"dpm2", "KDPM2DiscreteScheduler"},
    {"dpm2a", "KDPM2AncestralDiscreteScheduler"},
    {"euler", "EulerDiscreteScheduler"},
    {"eulera", "EulerAncestralDiscreteScheduler"},
    {"eulerancestral", "EulerAncestralDiscreteScheduler"},
    {"heun", "HeunDiscreteScheduler"},
    {"lms", "LMSDiscreteScheduler"},
    {"plms", "PNDMScheduler"},
};

static const struct {
    const char *ending, *setting;
} spacings[] = {
    {"karras", " --set use_karras_sigmas=true"},
    {"exponential", " --set use_exponential_sigmas=true"},
    {"beta", " --set use_beta_sigmas=true"},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Small letters, digits and '+' alone, with "++" for "pp". Cut where it is too long for any nickname. */
static void simplify(const char *name, char simple[64])
{
    size_t used = 0;
    for (; *name && used < 62; name++) {
        if (!isalnum((unsigned char)*name) && *name != '+') continue;
        bool is_plus = strncmp(name, "pp", 2) == 0 && used >= 3 && strncmp(simple, "dpm", 3) == 0;
        simple[used++] = (char)(is_plus ? '+' : tolower((unsigned char)*name));
        if (!is_plus) continue;
        simple[used++] = '+';
        name++;
    }
    simple[used] = '\0';
}

static const char *find(const char *simple)
{
    for (size_t i = 0; i < COUNT(nicknames); i++)
        if (strcmp(simple, nicknames[i].nickname) == 0) return nicknames[i].class_and_settings;
    return NULL;
}

const char *scheduler_of_nickname(const char *name, char *buffer, size_t size)
{
    char simple[64];
    const char *setting = "";
    simplify(name, simple);
    size_t length = strlen(simple);
    for (size_t i = 0; i < COUNT(spacings) && !*setting; i++) {
        size_t ending = strlen(spacings[i].ending);
        if (length <= ending || strcmp(simple + length - ending, spacings[i].ending) != 0) continue;
        simple[length - ending] = '\0';
        setting = spacings[i].setting;
    }
    const char *found = find(simple);
    if (!found && simple[0] == 'k') found = find(simple + 1);
    if (!found) return NULL;
    snprintf(buffer, size, "%s%s", found, setting);
    return buffer;
}
