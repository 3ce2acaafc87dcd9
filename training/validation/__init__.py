"""How good is the procedure on patients it has not seen? Judged on its own cohort, by resampling."""
