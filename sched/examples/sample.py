"""The timesteps and one step of a scheduler, through ctypes: what another port can check itself against.

    python3 sample.py [path of libplumb_sched.so]

Branches, too: the second half of a run is done twice, from a copy made in the middle, with the same result.
"""
import ctypes
import json
import sys

library = ctypes.CDLL(sys.argv[1] if len(sys.argv) > 1 else "libplumb_sched.so.0")
Pointer = ctypes.c_void_p


class Step(ctypes.Structure):
    _fields_ = [
        ("timestep", ctypes.c_double),
        ("model_output", Pointer),
        ("model_output_size", ctypes.c_size_t),
        ("sample", Pointer),
        ("batch", ctypes.c_size_t),
        ("sample_size", ctypes.c_size_t),
        ("noise", Pointer),
    ]


library.plumb_scheduler_create.restype = Pointer
library.plumb_scheduler_copy.restype = Pointer
library.plumb_scheduler_count.restype = ctypes.c_size_t
library.plumb_scheduler_timesteps.restype = ctypes.POINTER(ctypes.c_double)
library.plumb_scheduler_message.restype = ctypes.c_char_p


class Scheduler:
    """A scheduler in double precision; samples are lists of numbers."""

    def __init__(self, handle):
        self.handle = Pointer(handle)

    @classmethod
    def create(cls, **config):
        message = ctypes.create_string_buffer(1024)
        handle = library.plumb_scheduler_create(json.dumps(config).encode(), 1, message)
        if not handle:
            raise ValueError(message.value.decode())
        return cls(handle)

    def __del__(self):
        library.plumb_scheduler_free(self.handle)

    def check(self, status):
        if status:
            raise ValueError(library.plumb_scheduler_message(self.handle).decode())

    def copy(self):
        return Scheduler(library.plumb_scheduler_copy(self.handle))

    def set_timesteps(self, **arguments):
        self.check(library.plumb_scheduler_set_timesteps(self.handle, json.dumps(arguments).encode()))
        count = library.plumb_scheduler_count(self.handle)
        self.timesteps = library.plumb_scheduler_timesteps(self.handle)[:count]

    def step(self, model_output, timestep, sample):
        n = len(sample)
        numbers = ctypes.c_double * n
        given, predicted, stepped = numbers(*sample), numbers(*model_output), numbers()
        step = Step(timestep, ctypes.addressof(predicted), n, ctypes.addressof(given), 1, n, None)
        self.check(library.plumb_scheduler_step(self.handle, ctypes.byref(step), stepped, None))
        return list(stepped)


def model(sample, timestep):
    """Stands for a network: any function of the sample and the timestep."""
    return [0.5 * x + timestep / 1000 for x in sample]


scheduler = Scheduler.create(_class_name="DPMSolverMultistepScheduler", solver_order=2)
scheduler.set_timesteps(num_inference_steps=6)
print("timesteps:", [int(t) for t in scheduler.timesteps])

sample = [-1.0, 0.0, 0.5, 2.0]
half = len(scheduler.timesteps) // 2
for t in scheduler.timesteps[:half]:
    sample = scheduler.step(model(sample, t), t, sample)
branch, branched = scheduler.copy(), sample
for t in scheduler.timesteps[half:]:
    sample = scheduler.step(model(sample, t), t, sample)
    branched = branch.step(model(branched, t), t, branched)
print("final sample:", ["%.6f" % x for x in sample])
print("the branch ends", "at the same numbers" if branched == sample else "elsewhere")

try:
    Scheduler.create(_class_name="DDIMScheduler", beta_schedule="cubic")
except ValueError as error:
    print("refused:", error)
