"""What an attempt knows of those before it."""

from temporalio import activity


def only_attempt() -> bool:
    """Whether no other attempt of this step was begun; a reset of the step counts its attempts anew."""
    info = activity.info()
    return info.attempt == 1 and info.current_attempt_scheduled_time == info.scheduled_time
