#!/bin/sh
# Draws what each documented option changes: the pictures of README.md. Usage: PLUMB=build/plumb pictures.sh OUT_FOLDER
#
# `make pictures` draws them into configs/pictures/, `make demo` into build/demo/; tests/test_pictures.c sees that those in
# configs/pictures/ are the ones that the program draws.
set -eu
plumb=${PLUMB:-build/plumb}
out=${1:-configs/pictures}
shapes=golden/models/shapes-xl
schedulers=configs/schedulers
# Small models are faster where threads that wait do not spin.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"
mkdir -p "$out"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# quietly COMMAND... : what it says is of interest only where it fails
quietly() {
    "$@" >"$scratch/log" 2>&1 || { cat "$scratch/log" >&2; exit 1; }
}

# A mixture of Gaussians being sampled, whose best model is known: what a schedule is worth.
paths() {
    name=$1
    shift
    quietly "$plumb" sample --plot "$out/$name.png" "$@"
}

# Schedules as curves.
curves() {
    name=$1
    shift
    quietly "$plumb" schedule --plot "$out/$name.png" "$@"
}

dpm=$schedulers/sd15.json,_class_name=DPMSolverMultistepScheduler
paths timesteps $dpm "$dpm,timesteps=[999,845,730,587,443,310,193,116,53,13]" --steps 10
paths karras_sigmas $dpm $dpm,use_karras_sigmas=true --steps 6
paths sde $dpm $dpm,algorithm_type=sde-dpmsolver++ --steps 10
curves sigmas --panel sigmas --steps 10 $schedulers/sdxl.json \
    "$schedulers/sdxl.json,sigmas=[14.615,6.315,3.771,2.181,1.342,0.862,0.555,0.380,0.234,0.113,0.0]"
v=$schedulers/sd21v.json,timestep_spacing=trailing
curves zero_snr --panel snr --steps 10 $v $v,rescale_betas_zero_snr=true

# Three steps, few enough for the spacing to be seen, and fifty to compare with.
set --
for subject in 'a yellow star on a black background' 'a red square on a white background'; do
    for spacing in leading linspace trailing 'trailing 50'; do
        steps=${spacing#* }
        [ "$steps" != "$spacing" ] || steps=3
        picture="$scratch/$subject, $spacing.png"
        quietly "$plumb" run $shapes --prompt "$subject" --scheduler EulerDiscrete --set "timestep_spacing=${spacing% *}" \
            --steps "$steps" --guidance-scale 3 --seed 4 --out "$picture"
        set -- "$@" "${spacing% *}\n$steps steps=$picture"
    done
done
quietly "$plumb" sheet "$out/timestep_spacing.png" --across 4 --size 192 "$@"

# Guidance so strong that the colours bleach, and what rescaling gives back of them.
set --
for seed in 1 7; do
    for guidance in '3 0' '20 0' '20 0.7'; do
        picture="$scratch/guidance $guidance, $seed.png"
        rescaled="\nrescale ${guidance#* }"
        [ "$rescaled" != '\nrescale 0' ] || rescaled=
        quietly "$plumb" run $shapes --prompt 'a red circle and a blue cross on a white background' --steps 20 \
            --guidance-scale "${guidance% *}" --guidance-rescale "${guidance#* }" --seed $seed --out "$picture"
        set -- "$@" "guidance ${guidance% *}$rescaled=$picture"
    done
done
quietly "$plumb" sheet "$out/guidance_rescale.png" --across 3 --size 192 "$@"

# One picture each of what the trained model of golden/ knows.
set --
for subject in 'a yellow star on a black background' 'a red circle and a blue cross on a white background' \
    'a large white ring on a green background' 'an orange triangle on a purple background'; do
    quietly "$plumb" run $shapes --prompt "$subject" --steps 20 --guidance-scale 3 --seed 123 --out "$scratch/$subject.png"
    set -- "$@" "$(echo "$subject" | sed 's/ on /\\non /')=$scratch/$subject.png"
done
quietly "$plumb" sheet "$out/shapes.png" --across 4 --size 192 "$@"
