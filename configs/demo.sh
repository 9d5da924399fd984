#!/bin/sh
# Draws the documented recipes on the checkpoints of golden/: `make demo`. Usage: PLUMB=build/plumb demo.sh OUT_FOLDER
#
# The recipes' own prompts are for the real models. shapes-xl knows coloured shapes, so it is given a prompt of its own;
# what else a recipe says (scheduler, schedule, generator) stands as it is.
set -eu
plumb=${PLUMB:-build/plumb}
out=${1:-build/demo}
recipes=configs/recipes
shapes=golden/models/shapes-xl
# Small models are faster where threads that wait do not spin.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"
mkdir -p "$out"

# draw NAME CHECKPOINT OPTIONS... : one recipe's picture and trace
draw() {
    name=$1 checkpoint=$2
    shift 2
    "$plumb" run "$checkpoint" --recipe "$recipes/$name.json" --out "$out/$name.png" \
        --trace "$out/$name.safetensors" "$@" 2>"$out/$name.log" || { cat "$out/$name.log" >&2; exit 1; }
}

say() {
    printf '  %-34s %s\n' "$1" "$2"
}

echo "Plumb draws the documented recipes into $out/ (each picture has its trace, NAME.safetensors, beside it):"

# Most seeds look alike either way; this one shows what leading spacing can leave.
ring='a white ring on a black background'
draw leading_spacing $shapes --guidance-scale 3 --seed 1 --prompt "$ring"
say leading_spacing.png "5 steps that begin at 831 of 1000: its noise is not all taken away, a veil on the black"
draw trailing_spacing $shapes --guidance-scale 3 --seed 1 --prompt "$ring"
say trailing_spacing.png "5 steps that begin at 999: the same seed, and black is black"
draw ays_timesteps $shapes --guidance-scale 3 --prompt 'a red circle on a blue background'
say ays_timesteps.png "Align Your Steps: 10 chosen timesteps, sde-dpmsolver++"
draw ays_sigmas $shapes --guidance-scale 3 --prompt 'a yellow star on a black background'
say ays_sigmas.png "the same schedule by its sigmas, Euler; timesteps follow from them"
draw karras_sigmas $shapes --guidance-scale 3 --steps 20 --prompt 'a large white ring on a green background'
say karras_sigmas.png "20 steps with Karras sigmas, sde-dpmsolver++"
draw zero_snr golden/models/tiny-sd21v --steps 10
say zero_snr.png "v-prediction, zero terminal SNR, guidance_rescale (an untrained model: texture only)"

# quietly COMMAND... : what it says besides its results is kept in a file
quietly() {
    "$@" 2>"$out/demo.log" || { cat "$out/demo.log" >&2; exit 1; }
}

quietly "$plumb" sheet "$out/sheet.png" --across 3 --size 256 \
    "leading_spacing\n5 steps=$out/leading_spacing.png" \
    "trailing_spacing\n5 steps=$out/trailing_spacing.png" \
    "ays_timesteps\n10 steps=$out/ays_timesteps.png" \
    "ays_sigmas\n10 steps=$out/ays_sigmas.png" \
    "karras_sigmas\n20 steps=$out/karras_sigmas.png" \
    "zero_snr\nuntrained model=$out/zero_snr.png"
say sheet.png "all of them side by side, enlarged"

sdxl=configs/schedulers/sdxl.json
quietly "$plumb" schedule $sdxl $sdxl,timestep_spacing=trailing $sdxl,timestep_spacing=linspace \
    $sdxl,use_karras_sigmas=true --steps 20 --plot "$out/schedule.png" >"$out/schedule.txt"
say schedule.png "SDXL's schedule in 20 steps, spaced three ways and with Karras sigmas (tables: schedule.txt)"

PLUMB=$plumb sh configs/pictures.sh "$out/options"
say options/ "what each option changes, as in README.md"
