"""Another namespace's workflows, written without any of our code: the service is declared as plain JSON."""

from datetime import timedelta
from typing import Any

import nexusrpc
from temporalio import workflow

Json = dict[str, Any]

ENDPOINT = "eject"
_LOOKS = timedelta(milliseconds=100)


@nexusrpc.service(name="EjectService")
class Ejects:
    """The operations as a caller declares them."""

    eject: nexusrpc.Operation[Json, Json]
    status: nexusrpc.Operation[Json, Json]
    claim: nexusrpc.Operation[Json, Json]
    prove: nexusrpc.Operation[Json, Json]
    cancel: nexusrpc.Operation[Json, Json]


@workflow.defn
class Leaving:
    """Starts an eject, follows it until the owner may claim, and waits for its receipt."""

    def __init__(self) -> None:
        self._stage = ""

    @workflow.run
    async def run(self, request: Json) -> Json:
        """One eject, as one operation."""
        ejects = workflow.create_nexus_client(service=Ejects, endpoint=ENDPOINT)
        eject = await ejects.start_operation(Ejects.eject, request, summary="The client leaves")
        while self._stage != "awaiting_claim":
            if self._stage:
                await workflow.sleep(_LOOKS)
            told = await ejects.execute_operation(Ejects.status, {"client_id": request["client_id"]})
            self._stage = told["stage"]
        return await eject

    @workflow.update
    async def awaits_claim(self) -> None:
        """Answers once `status` has told that the owner may claim."""
        await workflow.wait_condition(lambda: self._stage == "awaiting_claim")


@workflow.defn
class Asking:
    """One operation and its answer."""

    @workflow.run
    async def run(self, operation: str, given: Json) -> Json:
        """Ask."""
        ejects = workflow.create_nexus_client(service=Ejects, endpoint=ENDPOINT)
        answer: Json = await ejects.execute_operation(operation, given, output_type=dict[str, Any])
        return answer
