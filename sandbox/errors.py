"""How a call is refused, whatever the form in which its API says so."""


class RefusedError(Exception):
    """The call is refused; nothing was changed."""

    def __init__(self, reason: str, status: int = 400, error_id: str = "BAD_REQUEST") -> None:
        super().__init__(reason)
        self.reason, self.status, self.error_id = reason, status, error_id


class InvalidError(RefusedError):
    """The request does not have the call's form: a body or a query that cannot be read."""
