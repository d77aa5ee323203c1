"""The one error of the device."""


class DeviceError(Exception):
    """Something is wrong or refused: one sentence that says what to do, and never a share or a key.

    Raise it outside the `except` block that noticed the trouble wherever secrets are being read: a
    chained exception keeps its input (`JSONDecodeError.doc`, `ValidationError.errors()`), and `from None`
    only hides it from the traceback.
    """
