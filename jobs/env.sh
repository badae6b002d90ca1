# shellcheck shell=bash
# Settings of Open MPI that weft wants; source this before mpirun. A value that is already set stays.

# A container often has only root, whom Open MPI refuses by default.
if [ "$(id -u)" -eq 0 ]; then
  export OMPI_ALLOW_RUN_AS_ROOT="${OMPI_ALLOW_RUN_AS_ROOT:-1}"
  export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="${OMPI_ALLOW_RUN_AS_ROOT_CONFIRM:-1}"
fi

# More ranks than cores is slow, not wrong: start them, and let a waiting rank give its core away.
export OMPI_MCA_rmaps_base_oversubscribe="${OMPI_MCA_rmaps_base_oversubscribe:-1}"
export OMPI_MCA_mpi_yield_when_idle="${OMPI_MCA_mpi_yield_when_idle:-1}"

# With one or two ranks Open MPI pins each to a single core, and all threads of the rank with it;
# with more ranks than cores several ranks would be pinned to one.
export OMPI_MCA_hwloc_base_binding_policy="${OMPI_MCA_hwloc_base_binding_policy:-none}"

# Shared-memory messages by process_vm_readv need a right that containers withhold; without this
# every run there begins with a warning.
export OMPI_MCA_btl_vader_single_copy_mechanism="${OMPI_MCA_btl_vader_single_copy_mechanism:-none}"
