"""A Portal on localhost: the calls an eject makes, really split keys, a movable clock, faults on demand."""
