"""How a command is refused."""

from temporalio.exceptions import ApplicationError


def refusal(sentence: str) -> ApplicationError:
    """What a caller gets whose command is refused."""
    return ApplicationError(sentence, type="Refused", non_retryable=True)
