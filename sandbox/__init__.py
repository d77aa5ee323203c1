"""A Portal and Tatum's gateway on localhost: really split keys, a movable clock, faults on demand."""
