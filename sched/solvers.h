/* The scheduler classes, one line each: SOLVER(stem) for the class that sched/<stem>.c defines. */
SOLVER(ddim)
SOLVER(dpmsolver_multistep)
SOLVER(dpmsolver_multistep_inverse)
SOLVER(dpmsolver_singlestep)
SOLVER(edm_euler)
SOLVER(euler_ancestral_discrete)
SOLVER(euler_discrete)
SOLVER(pndm)
