"""How values become payloads: pydantic's JSON through the codec; what the codec left shut is not read."""

from collections.abc import Sequence
from typing import Any, NoReturn

from pydantic import ValidationError
from pydantic_core import PydanticCustomError
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverter,
    EncodingPayloadConverter,
    PayloadConverter,
)

from runtime.codec import ENCODING, UNOPENED, CodecError, EjectCodec


class _Shut(EncodingPayloadConverter):
    """Refuses what the codec could not open, in the codec's words."""

    @property
    def encoding(self) -> str:
        """What the codec calls a payload that it encrypted."""
        return ENCODING.decode()

    def to_payload(self, value: Any) -> None:
        """Make nothing: only the codec encrypts."""

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> NoReturn:
        """Raise the `CodecError` of this payload."""
        raise CodecError(payload.metadata.get(UNOPENED, b"A payload is encrypted twice").decode())


# What every SDK can write; without a name, nobody can read it.
_COMMON_ENCODINGS = (
    b"json/plain",
    b"binary/plain",
    b"binary/null",
    b"json/protobuf",
    b"binary/protobuf",
    b"",
)


class EjectPayloadConverter(PydanticPayloadConverter):
    """Pydantic's JSON; what is still encrypted is a `CodecError`, what nobody could read a wrong input.

    The former is the workflow task's failure, so the eject stands still until the keys are mended; an update
    under a wrong key is refused alone, and an activity is tried again. The same holds for an encoding that
    only this worker does not know. The latter is refused, or ends a start, as wrong JSON does.
    """

    def __init__(self) -> None:
        super().__init__()
        CompositePayloadConverter.__init__(self, *self.converters.values(), _Shut())

    def from_payloads(
        self, payloads: Sequence[Payload], type_hints: list[type[Any]] | None = None
    ) -> list[Any]:
        """Decode; `ValidationError` where a payload is malformed."""
        try:
            return super().from_payloads(payloads, type_hints)
        except (ValidationError, CodecError):
            raise
        except Exception:
            if any(payload.metadata.get("encoding", b"") not in _COMMON_ENCODINGS for payload in payloads):
                raise
        unreadable = PydanticCustomError("unreadable", "must be JSON, in the encoding json/plain")
        raise ValidationError.from_exception_data(
            "payload", [{"type": unreadable, "loc": (), "input": None}], hide_input=True
        )


class EjectFailureConverter(DefaultFailureConverter):
    """An encoded failure that cannot be opened is a `CodecError` too; the SDK would leave its text out."""

    def from_failure(self, failure: Failure, payload_converter: PayloadConverter) -> BaseException:
        """Read a failure and its causes."""
        if failure.encoded_attributes.metadata.get("encoding") == ENCODING:
            payload_converter.from_payloads([failure.encoded_attributes])
        return super().from_failure(failure, payload_converter)


class EncodedFailureConverter(EjectFailureConverter):
    """Puts messages and stack traces where the codec encrypts them; a failure's type stays readable."""

    def __init__(self) -> None:
        super().__init__(encode_common_attributes=True)


def data_converter(codec: EjectCodec) -> DataConverter:
    """What every client and worker of ours converts with; where the codec encrypts, failures are encoded."""
    return DataConverter(
        payload_converter_class=EjectPayloadConverter,
        payload_codec=codec,
        failure_converter_class=EncodedFailureConverter if codec.encrypts else EjectFailureConverter,
    )
