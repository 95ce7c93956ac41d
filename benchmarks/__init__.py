"""Speed, as ratios within one run against a fair opponent; never a timed test."""
