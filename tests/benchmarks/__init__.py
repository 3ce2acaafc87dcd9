"""Speed and memory, measured as ratios against other software in one run; nothing is asserted."""
