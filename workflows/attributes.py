"""The search attributes that an eject writes, typed."""

from temporalio import workflow
from temporalio.common import SearchAttributeKey

with workflow.unsafe.imports_passed_through():
    from contracts.names import Attribute

STAGE = SearchAttributeKey.for_keyword(Attribute.STAGE)
STAGE_SINCE = SearchAttributeKey.for_datetime(Attribute.STAGE_SINCE)
CLIENT = SearchAttributeKey.for_keyword(Attribute.CLIENT)
WINDOW_CLOSES = SearchAttributeKey.for_datetime(Attribute.WINDOW_CLOSES)

ALL = (STAGE, STAGE_SINCE, CLIENT, WINDOW_CLOSES)
