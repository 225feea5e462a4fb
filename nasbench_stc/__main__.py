"""`python -m nasbench_stc` is `stc-bench`."""

from nasbench_stc.cli import main

main()
