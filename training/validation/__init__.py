"""How good is a procedure on patients it has not seen? Judged on its own cohort, by resampling."""
